"""What of the settings decides what a run finds: by it, two runs are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def deciding_settings(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a settings tree what decides what one search finds.

    Left out are the run's name, where it runs, where its corpus lies (what the corpus holds has a hash of its own),
    what is shown and kept of it, and which methods and how many seeds: more of these can be added to a run without
    changing those that are there.
    """
    kept = {name: value for name, value in tree.items() if name not in ("name", "engine")}
    for section, left_out in (
        ("corpus", ("name",)),
        ("search", ("methods", "seeds")),
        ("evaluation", ("samples", "kept_models")),
    ):
        kept[section] = {name: value for name, value in kept[section].items() if name not in left_out}
    return kept


def settings_hash(tree: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the deciding settings of a tree, as it stands in a run's settings.yaml.

    It is taken of the file, not of settings read from it: these may have gained names since the run was begun.
    """
    text = json.dumps(deciding_settings(tree), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
