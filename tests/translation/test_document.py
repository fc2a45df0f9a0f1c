"""What docs/translating.md shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.translation.made_run import make_run

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "translating.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_and_the_program_run_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    make_run(tmp_path / "results" / "first")  # in place of the search that the guide begins with
    (tmp_path / "text.en").write_text("The cat sleeps.\n\nShe is here.\n", encoding="utf-8")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nmt-pbt"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nmt_pbt "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    shell = [block for block in blocks("sh") if "nmt-pbt compare" not in block]
    assert len(shell) >= 6
    for block in shell:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", block],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, block + done.stderr
    assert len((tmp_path / "text.de").read_text(encoding="utf-8").splitlines()) == 3
    assert {"one.svg", "first-model"} <= {path.name for path in tmp_path.iterdir()}
    (python,) = blocks("python")
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=tmp_path, env=plain, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
