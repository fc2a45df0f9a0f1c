"""The peers of the benchmarks do what the tables say of them. Each needs an environment; see benchmarks/README.md."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from turns import Competitor

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WINDOW, VOCABULARY = 512, 300
Start = Callable[..., "Competitor"]


@pytest.fixture(scope="module", autouse=True)
def _importable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.syspath_prepend(str(BENCHMARKS / "peers"))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workload on the built-in corpus."""
    from workload import settings_for, write_workload

    made = tmp_path_factory.mktemp("workload")
    changes = {
        "corpus": {"train_pairs": 4 * WINDOW, "dev_pairs": 40},
        "training": {"epochs": 1.0},
        "search": {"methods": ["pbt"], "population": 2, "space": {"dropout": {"min": 0.0, "max": 0.5}}},
    }
    write_workload(made, settings_for(Path("toy"), VOCABULARY, changes), WINDOW, 4)
    return made


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Start competitors, which end with the test."""
    from turns import Command, Competitor

    running: list[Competitor] = []

    def starting(python: Path, script: str, *arguments: str) -> Competitor:
        command = Command(script, python, script, arguments)
        running.append(Competitor(command, folder, None, tmp_path / f"log{len(running)}"))
        assert running[-1].absent is None
        return running[-1]

    yield starting
    for competitor in running:
        competitor.close()


def interpreter(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} names no interpreter")
    return Path(os.environ[variable]).absolute()


def check_learning(competitor: Competitor) -> None:
    losses = [competitor.call("train", window=window)["loss"] for window in range(4)]
    assert losses[-1] < losses[0]
    assert losses[-1] < math.log(VOCABULARY) - 1


@pytest.mark.slow
def test_keras_learns(start: Start) -> None:
    check_learning(start(Path(sys.executable), "keras_peer.py"))


@pytest.mark.peer
@pytest.mark.parametrize("script", [("torch_peer.py",), ("torch_peer.py", "--packed"), ("joeynmt_peer.py",)])
def test_peers_learn(script: tuple[str, ...], start: Start) -> None:
    check_learning(start(interpreter("NMT_PBT_PEERS_PYTHON"), *script))


@pytest.mark.peer
def test_pytorch_with_our_weights_translates_as_we_do(start: Start, folder: Path) -> None:
    from nmt_pbt.tasks.translation.corpus.subwords import Subwords

    theirs = start(interpreter("NMT_PBT_PEERS_PYTHON"), "torch_peer.py", "--packed")
    ours = start(Path(sys.executable), "ours_peer.py")
    ours.call("learn", pairs=8 * WINDOW)
    ours.call("save")
    theirs.call("load")
    subwords = Subwords.load((folder / "subwords.model").read_bytes())
    order = json.loads((folder / "workload.json").read_text(encoding="utf-8"))["dev_order"]
    for beam in (1, 5):
        asked: dict[str, Any] = {"beam": beam, "length_penalty": 1.0}
        texts = ours.call("decode", **asked)["texts"]
        ids = theirs.call("decode", **asked)["ids"]
        same = [text == texts[index] for index, text in zip(order, subwords.decode(ids), strict=True)]
        # rounding may tip a tie
        assert sum(same) >= 0.95 * len(same)


@pytest.mark.peer
def test_ray_tune_runs_the_same_intervals(start: Start) -> None:
    search = start(interpreter("NMT_PBT_TUNE_PYTHON"), "ray_tune_peer.py", "--live").call("search")
    assert len(search["intervals"]) == 2 * 1
    assert sum(search["intervals"]) < search["wall"]
