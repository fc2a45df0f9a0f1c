"""What exploit strategies and explorers share that remember nothing between two decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Memoryless:
    """Has an empty state."""

    def get_state(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up an empty state."""
