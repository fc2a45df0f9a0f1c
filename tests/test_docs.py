"""What the documents show works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_block_of_the_keras_tuner_guide_runs(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "keras-tuner.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    assert len(blocks) == guide.count("```python") >= 8
    (tmp_path / "guide.py").write_text("\n\n".join(blocks), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "guide.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # The warning of Hyperband that the guide speaks of.
    assert "Skipping variable loading for optimizer" in done.stderr
    assert done.stdout.count("learning_rate") == 2
    assert {"hyperband", "pbt", "tuning", "compared"} <= {path.name for path in tmp_path.iterdir()}
    assert {"wide", "kept", "own"} <= {path.name for path in (tmp_path / "tuning").iterdir()}


def test_the_two_searches_of_the_keras_tuner_guide_differ_in_one_line() -> None:
    guide = (ROOT / "docs" / "keras-tuner.md").read_text(encoding="utf-8")
    hyperband, population = re.findall(r"^```python\n(tuner = .*?)^```$", guide, re.DOTALL | re.MULTILINE)[:2]
    pairs = list(zip(hyperband.splitlines(), population.splitlines(), strict=True))
    assert [one == other for one, other in pairs] == [False, True, True]
