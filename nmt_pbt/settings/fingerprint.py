"""The settings that decide what a run finds, and their hash, which tells two runs apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from nmt_pbt.base.section import Section


def deciding_settings(tree: Mapping[str, Any], kind: type[Section]) -> dict[str, Any]:
    """Return what decides what one search finds: the tree without what each section says decides nothing.

    That is the run's name, where it runs, where its data lie (what they hold has a hash of its own), what is shown and
    kept, and which methods and how many seeds: more of these can be added to a run without changing those there.

    Args:
        tree: A settings tree as plain data.
        kind: The class of the settings.
    """
    sections = dict(_sections(kind))
    decided = {
        name: deciding_settings(value, sections[name]) if name in sections and isinstance(value, Mapping) else value
        for name, value in tree.items()
    }
    return {
        name: value
        for name, value in decided.items()
        if _decides(kind, name, value) and not (value == {} and name in sections and _is_later(sections[name]))
    }


def _is_later(kind: type[Section]) -> bool:
    """Return whether a whole section came later than runs that there are: each setting has an earlier value."""
    return bool(kind.earlier_values) and kind.earlier_values.keys() == kind.model_fields.keys()


def _decides(kind: type[Section], name: str, value: Any) -> bool:
    if name in kind.decides_nothing:
        return False
    return name not in kind.earlier_values or value not in (kind.earlier_values[name], None)


def settings_hash(tree: Mapping[str, Any], kind: type[Section]) -> str:
    """Return the SHA-256 of the deciding settings of a tree, as it stands in a run's settings.yaml.

    It is taken of the file, not of settings read from it: these may have gained names since the run was begun.

    Args:
        tree: A settings tree as plain data.
        kind: The class of the settings.
    """
    text = json.dumps(deciding_settings(tree, kind), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def with_earlier_values(tree: Mapping[str, Any], kind: type[Section]) -> dict[str, Any]:
    """Return the settings tree of a run's file in which settings that it is older than have the values it meant.

    Args:
        tree: A settings tree as plain data.
        kind: The class of the settings.
    """
    whole = {**kind.earlier_values, **tree}
    for name, section in _sections(kind):
        below = tree.get(name, {})
        if isinstance(below, Mapping) and (found := with_earlier_values(below, section)):
            whole[name] = found
    return whole


def undecided(before: dict[str, Any], settings: Section) -> dict[str, Any]:
    """Return a settings tree in which what decides nothing within its sections is as in other settings.

    Args:
        before: A settings tree as plain data, as in a run's file.
        settings: What to take those values from.
    """
    after = dict(before)
    for name, section in _sections(type(settings)):
        values = getattr(settings, name).model_dump(mode="json")
        if isinstance(after.get(name), Mapping):
            after[name] = {**after[name], **{key: values[key] for key in section.decides_nothing if key in values}}
    return after


def _sections(kind: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, field.annotation
