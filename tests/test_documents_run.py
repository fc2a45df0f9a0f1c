"""What the documents tell to type, typed: with settings small enough for a test where it would train for long."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = (
    "--set corpus.vocabulary_size=200 --set corpus.train_pairs=200 --set corpus.dev_pairs=20 "
    "--set corpus.test_pairs=20 --set model.units=16 --set model.embedding_units=16 "
    "--set training.epochs=1 --set search.population=2"
)
LONG = ("data fetch", "--config")
"""Of the README's tour, what downloads a corpus or searches on it for an hour: tests/test_documents.py reads those."""
WRAPPER = """#!/bin/sh
case "$1 $*" in
  *--resume*) ;;
  compare*|train*) set -- "$@" {tiny} ;;
esac
exec "{python}" -m nmt_pbt "$@"
"""
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the documents' commands are for a shell")


def shell(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = folder / "bin" / "nmt-pbt"
    command.parent.mkdir(exist_ok=True)
    command.write_text(WRAPPER.format(tiny=TINY, python=sys.executable), encoding="utf-8")
    command.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tour_of_the_readme_runs_from_top_to_bottom(tmp_path: Path) -> None:
    (tour,) = [block for block in blocks("README.md", "sh") if "translate" in block]
    lines = [line for line in tour.splitlines() if not any(word in line for word in LONG)]
    assert 6 <= len(lines) < len(tour.splitlines())
    done = shell("\n".join(lines), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "results/first/report/index.html").exists()
    assert re.search(r"^BLEU [\d.]+ .*nrefs:1", done.stdout, re.M)


def test_a_runs_data_is_had_as_the_guide_says(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    shutil.copytree(ROOT / "results" / "multi30k-small", tmp_path / "results" / "multi30k-small")
    done = shell("\n".join(blocks("docs/data.md", "sh")), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "tables" / "evaluations.parquet").exists()
    assert list((tmp_path / "events").rglob("events.out.tfevents.*"))
    assert (tmp_path / "results/multi30k-small/report/winners.tex").exists()
    (program,) = blocks("docs/data.md", "python")
    printed = subprocess.run(
        [sys.executable, "-c", program + "\nprint(run.ancestry.steps('pbt', 0).shape)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.startswith("(")
