"""What the benchmarks calculate themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))


def _batch() -> tuple[np.ndarray, np.ndarray]:
    source = np.array([[5, 6, 3], [7, 3, 0]], np.int32)
    target = np.array([[2, 8, 3, 0], [2, 8, 9, 3]], np.int32)
    return source, target


def test_operations_are_counted_on_real_positions_only() -> None:
    from flops import operations_for

    units, vocabulary = 4, 10
    counted = operations_for([_batch()], vocabulary, units)
    read, written, pairs, cells = 5, 5, 2, 3 * 2 + 2 * 3
    recurrent = 2 * (units * 4 * units) * (2 * read + written)
    # of the three products of the recurrent kernel (forward, to the state, to the weights) two wait for the step before
    assert counted.stepwise == 2 * recurrent
    others = 2 * (
        read * 2 * units * units  # keys
        + 2 * pairs * 2 * units * units  # bridges
        + cells * 3 * units  # scores, contexts
        + written * 3 * units * units  # attentional vectors
        + written * units * vocabulary
    )
    assert counted.whole == 3 * recurrent + recurrent + 3 * others


def test_shuffled_batches_hold_the_same_pairs_without_needless_padding() -> None:
    from protocol import shuffled

    batches = [_batch(), (np.array([[4, 5, 6, 7, 3]], np.int32), np.array([[2, 3]], np.int32))]

    def pairs(of: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        rows = [(left, right) for source, target in of for left, right in zip(source, target, strict=True)]
        return sorted((tuple(left[left != 0]), tuple(right[right != 0])) for left, right in rows)

    made = shuffled(batches)
    assert pairs(made) == pairs(batches)
    assert [len(source) for source, _ in made] == [2, 1]
    assert all((source != 0).any(axis=0).all() for source, _ in made)


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    from turns import ratio

    assert ratio([1.0, 2.0, 4.0], [2.0, 2.0, 20.0]) == "2.00 (1.00-5.00)"


def test_a_competitor_without_its_package_says_so(tmp_path: Path) -> None:
    from turns import Command, Competitor

    script = tmp_path / "peer.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(BENCHMARKS / 'peers')!r})\n"
        "from protocol import serve\n"
        "serve(['no_such_package'], lambda workload, arguments: {})\n"
    )
    competitor = Competitor(Command("peer", Path(sys.executable), str(script)), tmp_path, None, tmp_path / "log")
    assert competitor.absent == f"not measured: no_such_package is not installed in {sys.executable}"


def test_a_competitor_that_fails_ends_the_benchmark_with_its_last_words(tmp_path: Path) -> None:
    from turns import Command, Competitor

    script = tmp_path / "peer.py"
    script.write_text("raise ValueError('out of order')\n")
    with pytest.raises(SystemExit, match=r"(?s)peer: ended with code 1.*out of order"):
        Competitor(Command("peer", Path(sys.executable), str(script)), tmp_path, None, tmp_path / "log")


def test_a_machine_is_shared_out_as_one_worker_and_as_many() -> None:
    from threads import Arrangement, arrangements

    assert arrangements(4) == [Arrangement(1, 1), Arrangement(1, 4), Arrangement(4, 1)]
    assert [one.name for one in arrangements(4)] == [
        "1 worker of 1 thread",
        "1 worker of 4 threads",
        "4 workers of 1 thread",
    ]


def test_several_workers_are_credited_with_what_each_of_them_trained() -> None:
    from threads import arrangements, rows

    # one worker needs 2 s for 100 tokens; two threads 1 s; two workers need 2.5 s for 100 tokens each
    made = rows(arrangements(2), [[2.0], [1.0], [2.5]], [100])
    assert made[1:] == [
        ("1 worker of 1 thread", "50", ""),
        ("1 worker of 2 threads", "100", "2.00 (2.00-2.00)"),
        ("2 workers of 1 thread", "80", "1.60 (1.60-1.60)"),
    ]


def test_operations_are_put_under_what_they_are_part_of() -> None:
    from profile_step import part_of, rows

    assert part_of("decoder/while/body/_1/MatMul", "_MklMatMul") == "matrix products of one time step"
    assert part_of("decoder/while/body/_1/Tanh", "Tanh") == "all else in the loops over time"
    assert part_of("MatMul_6", "_MklNativeFusedMatMul") == "matrix products over all positions"
    assert part_of("Max", "Max") == "other operations"
    made = rows([("MatMul", "MatMul", 4, 0.6), ("Max", "Max", 2, 0.1)], steps=2, seconds=1.0)
    assert made[1] == ("matrix products over all positions", "300.0", "60.0%", "2")
    assert made[-1] == ("starting operations, and very short ones", "150.0", "30.0%", "")


def test_each_variant_has_a_name() -> None:
    import variant_peer
    import variants

    assert list(variants.VARIANTS) == list(variant_peer.VARIANTS)
