"""What one search of a run is called: by its seed, too, where the run has several."""

from __future__ import annotations

from nmt_pbt.report.figures.style import method_style
from nmt_pbt.report.run import Run


def search_name(run: Run, method: str, seed: int) -> str:
    """Return the name of a search, for instance `PBT`, or `PBT, seed 2` in a run of several seeds."""
    label = method_style(method).label
    return f"{label}, seed {seed}" if _several(run) else label


def with_seed(run: Run, seed: int) -> str:
    """Return what to add to a name in a sentence: ` with seed 2`, or nothing in a run of one seed."""
    return f" with seed {seed}" if _several(run) else ""


def _several(run: Run) -> bool:
    return bool(run.searches["seed"].nunique() > 1)
