"""The type of a hyperparameter's value, the same in every room."""

from __future__ import annotations

Value = bool | int | float | str
