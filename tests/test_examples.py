"""The examples run, in about a minute each, and show what they say they show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings
from nmt_pbt.tasks.translation.settings.tree import load_settings
from nmt_pbt.testing import check_task

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", **changes}


def run(example: str, folder: Path, leaves: Sequence[str] = ()) -> str:
    """Run an example in an empty folder, where it leaves what is named; return what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example)], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in folder.iterdir()] == list(leaves)
    return done.stdout


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of a document that are marked with a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in sorted(EXAMPLES.iterdir()) if path.is_file() and path.name not in text] == []


def test_population_based_training_of_a_keras_model_is_as_good_as_hyperband_within_reason(tmp_path: Path) -> None:
    printed = run("keras_model.py", tmp_path)
    accuracies = dict(re.findall(r"^(\w+) .*test accuracy ([\d.]+)%", printed, re.MULTILINE))
    assert accuracies.keys() == {"Hyperband", "PBT"}
    assert float(accuracies["PBT"]) >= 92.0  # a tenth is chance
    assert float(accuracies["PBT"]) >= float(accuracies["Hyperband"]) - 3.0
    rows = [line.split() for line in printed.split("PBT found:")[1].splitlines() if line.strip()]
    assert rows[0] == ["epoch", "until", "dropout", "learning_rate", "score", "inherited"]
    assert [row[0] for row in rows[1:]] == [str(epoch) for epoch in range(len(rows) - 1)]
    assert len({row[3] for row in rows[1:]}) > 1  # a schedule, no constant
    assert float(rows[-1][4]) < float(rows[1][4])


def test_five_methods_are_compared_in_25_lines(tmp_path: Path) -> None:
    """The example as it is, but for its length. It has no guard for its worker processes, and needs none."""
    text = (EXAMPLES / "digits.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 25
    (tmp_path / "digits.py").write_text(text.replace("seeds=5", "seeds=1, population=2, epochs=3, workers=2"))
    done = subprocess.run(
        [sys.executable, "digits.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for method in ("pbt", "random", "hyperband", "bayes", "grid"):
        assert re.search(rf"^{method}, seed 0: on test data accuracy [\d.]+, loss [\d.]+$", done.stdout, re.M)
    assert (tmp_path / "digits" / "report" / "index.html").stat().st_size > 10_000
    assert re.search(r"^ +epoch +until +l2 +dropout +learning_rate$", done.stdout, re.M)


def test_the_same_searches_grow_forests(tmp_path: Path) -> None:
    printed = run("decision_trees.py", tmp_path, leaves=["forest"])
    lines = re.findall(r"^(\w+) +dev ([\d.]+) +test ([\d.]+) +trees: (.*)$", printed, re.M)
    assert [name for name, *_ in lines] == ["grid", "random", "bayes", "pbt"]
    losses = {name: (float(dev), float(test)) for name, dev, test, _ in lines}
    assert all(test < 0.7 for _, test in losses.values())  # chance is 2.3
    assert losses["pbt"][0] <= min(dev for dev, _ in losses.values()) + 0.05
    depths = {name: re.findall(r"(\d+) of depth (\d+)", grown) for name, *_, grown in lines}
    assert all(len(depths[name]) == 1 for name in ("grid", "random", "bayes"))
    assert len(depths["pbt"]) > 1  # it changed the depth while the forest grew
    assert sum(int(count) for count, _ in depths["pbt"]) == 30
    assert re.search(r"^pbt, seed 0: best val_loss [\d.]+ after 180 trees$", printed, re.M)
    page = (tmp_path / "forest" / "report" / "index.html").read_text(encoding="utf-8")
    assert "180 trees" in page
    assert not [words for words in ("sentence pair", "test sentence", "BLEU", "translation") if words in page]


@pytest.mark.peer
def test_a_pytorch_loop_of_80_lines_is_a_task(tmp_path: Path) -> None:
    """Needs an environment in which PyTorch is installed beside this package."""
    pytest.importorskip("torch")
    text = (EXAMPLES / "pytorch_loop.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    shorter = text.replace("seeds=3", "seeds=1, population=3, epochs=3, workers=2")
    (tmp_path / "pytorch_loop.py").write_text(shorter, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "pytorch_loop.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for method in ("pbt", "random", "hyperband", "bayes", "grid"):
        assert re.search(rf"^{method}, seed 0: on test data loss [\d.]+$", done.stdout, re.M)
    assert (tmp_path / "pytorch" / "report" / "index.html").stat().st_size > 10_000


@pytest.mark.peer
def test_the_pytorch_loop_keeps_the_contract_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import pytorch_loop

    slow, fast = {"dropout": 0.2, "learning_rate": 1e-2}, {"dropout": 0.5, "learning_rate": 1e-1}
    check_task(pytorch_loop.DigitsTask(), slow, fast)


def test_the_forest_keeps_the_contract_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import decision_trees

    check_task(decision_trees.ForestTask(), {"max_depth": 3}, {"max_depth": 8})


def test_an_explore_function_of_ones_own_reaches_the_summit_and_a_multiplicative_one_does_not(tmp_path: Path) -> None:
    heights = {name: float(height) for name, height in map(str.split, run("custom_explore.py", tmp_path).splitlines())}
    assert heights["small_steps"] >= 1.15
    assert heights["perturb"] >= 1.15
    assert heights["doubled_or_halved"] <= 0.391
    assert heights["none"] <= 0.391


@pytest.mark.skipif(shutil.which("bash") is None, reason="the example is written for a shell")
def test_a_corpus_of_ones_own_is_searched_translated_and_evaluated(tmp_path: Path) -> None:
    toy = load_corpus(CorpusSettings(train_pairs=1600), seed=0).train
    short = sorted(zip(toy.source, toy.target, strict=True), key=lambda pair: len(pair[0]))[:800]  # quickly translated
    (tmp_path / "all.en").write_text("".join(f"{source}\n" for source, _ in short), encoding="utf-8")
    (tmp_path / "all.de").write_text("".join(f"{target}\n" for _, target in short), encoding="utf-8")
    command = tmp_path / "bin" / "nmt-pbt"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nmt_pbt "$@"\n')
    command.chmod(0o755)
    program = "set -euo pipefail\n" + "\n".join(blocks(ROOT / "docs" / "own-corpus.md", "sh"))
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, env=environment(PATH=path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "400 train, 200 dev, 200 test pairs" in done.stdout
    assert re.search(r"BLEU.*[\d.]+.*nrefs:1", done.stdout)
    assert (tmp_path / "results/first-try/report/index.html").stat().st_size > 10_000


def test_the_settings_for_a_corpus_of_ones_own_are_accepted(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "docs" / "own-corpus.md", "yaml")
    (tmp_path / "my-search.yaml").write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path / "my-search.yaml")
    assert settings.run_name == "my-corpus"
    assert settings.search.population == 8
