"""Option `--start-from` of commands that begin a translation run."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def settings_to_start_from(folder: Path, config: Path | None) -> tuple[Path, dict[str, Any]]:
    """Return which file of settings a run that starts from another one's winner has, and what is laid over it.

    Args:
        folder: The other run.
        config: A file that was given; None takes the other run's settings, with the shape of its winner's model.

    Returns:
        The file, and dotted keys to values.

    Raises:
        UsageError: The folder holds no run with a winner.
    """
    from nmt_pbt.run.best_model import best_winner
    from nmt_pbt.settings.loading import SETTINGS_FILE
    from nmt_pbt.tasks.translation.settings.tree import TranslationSettings
    from nmt_pbt.tasks.translation.training.start_from import shape_of

    winner = best_winner(folder, TranslationSettings)
    overrides: dict[str, Any] = {"start_from": str(folder), "start_digest": None}
    if config is not None:
        return config, overrides
    shape = {f"model.{name}": value for name, value in shape_of(winner).items()}
    # How the other run ended is its own affair: a target that it reached would end this one before it begins.
    own: dict[str, Any] = {"name": None, "search.more_epochs": 0.0, "search.stop": {}}
    return folder / SETTINGS_FILE, {**overrides, **shape, **own}
