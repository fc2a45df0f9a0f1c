"""The vocabulary of all tables: the type of each column by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import BaseModel

SCHEMA_VERSION = 2
"""Version of the columns of all tables; grows when one is renamed, removed or changes its meaning."""

SECONDS = ("train", "evaluate", "load", "save", "decide", "idle")
"""What wall-clock is itemised into, in the order shown."""

_TYPES = {
    name: dtype
    for dtype, names in {
        "object": "method trial parent worker status reason objective direction outputs test_set child left alarms",
        "int64": "seed generation interval_index intervals trained_pairs spent_pairs pairs budget_pairs interval_pairs "
        "pairs_per_epoch population start",
        "Int64": "member parent_member",
        "float64": "score best trained_epochs spent_epochs seconds test total parent_score left_score diversity "
        "exploits donors founders largest " + " ".join(SECONDS),
        "bool": "inherited improved finished",
    }.items()
    for name in names.split()
}
"""The type of each column, by its name."""


def table(rows: Sequence[Mapping[str, Any]], columns: str, extra: Sequence[str] = ()) -> pd.DataFrame:
    """Return rows as a table whose columns and their types do not depend on which rows there are.

    Args:
        rows: One mapping a row; what a row does not name is missing there.
        columns: Columns of this module's vocabulary, in order, with a space between each two.
        extra: Further columns (hyperparameters, metrics), whose type is the narrowest that holds their values.

    Returns:
        The table, with a fresh index.
    """
    data = {name: pd.Series([row[name] for row in rows], dtype=_TYPES[name]) for name in columns.split()}
    data.update({name: _narrowest([row.get(name) for row in rows]) for name in extra})
    return pd.DataFrame(data, columns=[*columns.split(), *extra])


def _narrowest(values: list[Any]) -> pd.Series[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {int}:
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype="float64" if kinds <= {int, float} else "object")


def names_in(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Return all keys, in the order in which they first appear."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def fields(record: BaseModel, columns: str) -> dict[str, Any]:
    """Return those fields of a record that are columns of a table."""
    return {name: value for name, value in record if name in columns.split()}
