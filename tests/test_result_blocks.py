"""The blocks of docs/results.md that are made from journals: what each says, of runs that never happened."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from nmt_pbt.report.run import Run, load_run
from tests.report.fake_run import write_fake_run
from tests.report.journals import assigned, evaluated, search, small_population

ROOT = Path(__file__).parents[1]
METHODS = ("pbt", "random", "grid", "exploit-only", "replay")


@pytest.fixture(scope="module")
def blocks() -> ModuleType:
    sys.path.insert(0, str(ROOT / "docs" / "make"))
    try:
        import result_blocks
    finally:
        sys.path.pop(0)
    return result_blocks


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_fake_run(folder / "study", METHODS, seeds=3, population=4, epochs=4.0, sentences=80)
    write_fake_run(folder / "one", ("manual",), population=2, epochs=4.0, sentences=80)
    return folder


def filled(blocks: ModuleType, results: Path, name: str, kind: str) -> list[str]:
    """Return the lines of one block."""
    text = blocks.filled(f"before\n<!-- made: {name} {kind} -->\nSTALE\n<!-- end -->\nafter\n", results)
    assert "STALE" not in text
    assert text.startswith("before\n<!--")
    assert text.endswith("<!-- end -->\nafter\n")
    return text.splitlines()[3:-3]


def test_every_kind_of_block_can_be_made_of_a_study(blocks: ModuleType, results: Path) -> None:
    for kind in set(blocks.KINDS) - {"evaluation"}:
        assert filled(blocks, results, "study", kind), kind
    with pytest.raises(SystemExit, match="no block of kind 'nothing'"):
        filled(blocks, results, "study", "nothing")


def test_pbt_is_compared_with_each_method_and_the_others_with_each_other(blocks: ModuleType, results: Path) -> None:
    rows = [line for line in filled(blocks, results, "study", "comparisons") if " − " in line]
    assert [line.split(" | ")[0] for line in rows] == [
        f"| PBT − {name}" for name in ("Random", "Grid", "Exploit only", "Replay")
    ]
    others = [line for line in filled(blocks, results, "study", "others") if " − " in line]
    assert len(others) == 6
    assert not any("PBT" in line for line in others)


def test_only_models_that_nobody_trained_on_are_at_the_end(blocks: ModuleType, results: Path) -> None:
    _, _, *rows = filled(blocks, results, "study", "spread")
    # Three searches of four models each, however many trials each was; one by Random failed.
    assert [row.split(" | ")[1] for row in rows] == ["12", "11", "12", "12", "12"]


def test_each_searchs_way_to_the_best_baseline_is_told_by_seed(blocks: ModuleType, results: Path) -> None:
    head, _, *rows, _, told = filled(blocks, results, "study", "target")
    assert head.count("seed ") == 3
    assert len(rows) == len(METHODS)
    assert rows[1].endswith("3 of 3 |") or rows[2].endswith("3 of 3 |")  # the baseline itself
    assert told.startswith("Epochs, of 16, after which")


def test_models_at_the_end_are_counted_once_each_also_where_a_trial_is_an_interval(
    blocks: ModuleType, results: Path
) -> None:
    rows = [line.split(" | ") for line in filled(blocks, results, "study", "spread")[2:]]
    counts = {method.strip("| "): count for method, count, *_ in rows}
    # One of random search's twelve trials failed.
    assert counts == {"PBT": "12", "Random": "11", "Grid": "12", "Exploit only": "12", "Replay": "12"}


def run_of(*more: object) -> Run:
    return Run(Path("nowhere"), {"search": {"space": {}}}, {}, [*small_population(), *more])  # type: ignore[list-item]


def test_trends_tell_what_rose_and_fell_to_the_winners_and_to_all_members_left(blocks: ModuleType) -> None:
    # Member 0 keeps its values, member 1 takes member 0's state over, lowers the rate and raises the dropout, and wins.
    second = [search(seed=1), assigned("a0", member=0, seed=1, rate=0.3, dropout=0.4)]
    second += [evaluated("a0", 9.0, trained_pairs=100, spent_pairs=100, seed=1)]
    head, _, rate, dropout, _, told = blocks.KINDS["trends"](run_of(*second)).splitlines()
    assert head == (
        "| hyperparameter | winner, seed 0 | winner, seed 1 | all members left at the end | their medians |"
    )
    assert rate == "| rate | 0.1 → 0.08 | 0.3 throughout | 1 fell, 2 stayed | 0.1 → 0.1 |"
    assert dropout == "| dropout | 0 → 0.2 | 0.4 throughout | 1 rose, 2 stayed | 0 → 0.2 |"
    assert "no independent witnesses" in told


def test_a_run_of_one_model_is_told_with_its_signatures(blocks: ModuleType, results: Path) -> None:
    head, _, row, _, told = filled(blocks, results, "one", "one-model")
    assert head.startswith("| seed | dev BLEU, greedy | test BLEU | test chrF |")
    (tested,) = load_run(results / "one").tests.to_dict("records")
    assert f" {tested['test_bleu']:.1f} " in row
    assert tested["signature_bleu"] in told


def test_what_evaluate_printed_is_quoted(blocks: ModuleType, results: Path) -> None:
    with pytest.raises(SystemExit, match=r"nmt-pbt evaluate .* > .*evaluation\.txt"):
        filled(blocks, results, "one", "evaluation")
    (results / "one" / "evaluation.txt").write_text(
        "manual, seed 0 (trial 0): test, 80 sentences, beam 5\n"
        "BLEU                             39.26  nrefs:1|case:mixed|tok:13a\n"
        "BLEU, tokenised and lower-cased  39.69  nrefs:1|case:mixed|tok:none|prepared:lowercase+tokenizer|lang:de\n",
        encoding="utf-8",
    )
    title, _, _, _, cased, lower = filled(blocks, results, "one", "evaluation")
    assert title == "manual, seed 0 (trial 0): test, 80 sentences, beam 5:"
    assert cased == r"| BLEU | 39.3 | `nrefs:1\|case:mixed\|tok:13a` |"
    assert lower.startswith("| BLEU, tokenised and lower-cased | 39.7 | `nrefs:1")
