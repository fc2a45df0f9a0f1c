"""A newcomer's path, on a clean clone: compare, look, translate, and the same on a corpus of one's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

ROOT = Path(__file__).parents[1]
TINY = (
    "--methods pbt,random --set corpus.vocabulary_size=200 --set corpus.train_pairs=300 --set corpus.dev_pairs=30 "
    "--set corpus.test_pairs=30 --set model.units=16 --set model.embedding_units=16 --set training.epochs=2 "
    "--set search.population=2"
)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.skipif(
    shutil.which("make") is None or shutil.which("git") is None or not (ROOT / ".git").exists(),
    reason="needs make, git and a clone",
)
def test_from_a_clean_clone_to_a_corpus_of_ones_own(tmp_path: Path) -> None:
    clone = tmp_path / "nmt-pbt"
    # What a newcomer's shell does not have: our environment.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def shell(command: str) -> str:
        done = subprocess.run(
            command, shell=True, cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    printed = shell(f'make compare ARGS="{TINY} --out results/first"')
    assert printed.rstrip().endswith("results/first/report/index.html")
    page = (clone / "results/first/report/index.html").read_text(encoding="utf-8")
    assert "test BLEU, at an equal budget" in page
    figures = set(re.findall(r'href="figures/(\w+)\.svg"', page))
    assert len(figures) >= 10
    assert all((clone / f"results/first/report/figures/{name}.png").stat().st_size > 1000 for name in figures)
    shell("make compare ARGS='--resume results/first'")  # nothing is left to do, and nothing is lost
    translation = shell('echo "The old cats sleep on the bench." | .venv/bin/nmt-pbt translate results/first')
    assert translation.count("\n") == 1

    toy = load_corpus(CorpusSettings(train_pairs=400), seed=5).train
    (clone / "mine").mkdir()
    for split, lines in (("train", slice(0, 340)), ("val", slice(340, 370)), ("test", slice(370, 400))):
        for language, side in (("en", toy.source), ("de", toy.target)):
            text = "".join(f"{line}\n" for line in side[lines])
            (clone / "mine" / f"{split}.{language}").write_text(text, encoding="utf-8")
    shell(f".venv/bin/nmt-pbt compare --corpus ./mine {TINY} --out results/mine")
    assert "PBT" in (clone / "results/mine/report/index.html").read_text(encoding="utf-8")
    score = shell(".venv/bin/nmt-pbt evaluate results/mine --src mine/test.en --ref mine/test.de")
    assert "30 sentences" in score
