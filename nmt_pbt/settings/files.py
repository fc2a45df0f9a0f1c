"""Settings read from files and the command line, and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt_pbt.errors import UsageError
from nmt_pbt.settings.problems import checked, shortened
from nmt_pbt.settings.tree import Settings
from nmt_pbt.yaml_text import dump_yaml, parse_yaml, read_yaml


def load_settings(
    path: Path | None = None, assignments: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read settings: defaults, then a YAML file, then overrides, then `key=value` assignments, the later winning.

    Args:
        path: A YAML file; None takes the embedded defaults.
        assignments: Dotted `key=value` texts; the value is YAML, for instance `search.pbt.fraction=0.2`.
        overrides: Dotted keys to values, for options of the command line that have a name of their own.

    Returns:
        The checked settings.

    Raises:
        UsageError: The file or a value cannot be used; says which key, and the nearest known one for a misspelt key.
    """
    where = str(path) if path is not None else "settings"
    settings = checked(Settings, read_yaml(path) if path is not None else {}, where)
    if not overrides and not assignments:
        return settings
    # What the command line sets is laid over the whole resolved tree: one hyperparameter of the space can be changed
    # without naming the others.
    tree = settings.model_dump(mode="json")
    where = "settings"
    for key, value in (overrides or {}).items():
        _assign(tree, key, value)
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator or not all(part.strip() for part in key.split(".")):
            raise UsageError(f"--set {shortened(text)}: expected key=value, for instance --set training.dropout=0.3")
        _assign(tree, key.strip(), parse_yaml(value, f"--set {shortened(text)}"))
    return checked(Settings, tree, where)


def _assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, last = dotted.split(".")
    for section in sections:
        below = tree.setdefault(section, {})
        if not isinstance(below, dict):
            raise UsageError(f"{dotted}: '{section}' is a value, not a section; remove the part after it")
        tree = below
    tree[last] = value


def dump_settings(settings: Settings) -> str:
    """Return settings as YAML text that `load_settings` reads back to the same settings."""
    return dump_yaml(settings.model_dump(mode="json"))
