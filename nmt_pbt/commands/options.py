"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A run's folder.")]
Method = Annotated[str | None, typer.Option("--method", help="Whose winner; without it, the best on dev.")]
Seed = Annotated[int | None, typer.Option("--seed", help="The winner of which seed; without it, the best on dev.")]
Beam = Annotated[int | None, typer.Option("--beam", min=1, help="Beam width, 1 is greedy; without it, the run's.")]
Ensemble = Annotated[
    int, typer.Option("--ensemble", min=1, help="So many of the run's kept models together, the best on dev first.")
]
