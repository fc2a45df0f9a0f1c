"""Records made of plain data, and one line on what is wrong with it."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.section import Section
from nmt_pbt.base.yaml_text import dump_yaml, parse_yaml, read_yaml
from nmt_pbt.settings.fingerprint import with_earlier_values
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain

SETTINGS_FILE, JOURNAL_FILE, LOCK_FILE = "settings.yaml", "journal.jsonl", "lock"
"""Names of files in the folder of a run."""

Model = TypeVar("Model", bound=BaseModel)
_DOMAIN_NAMES = [*NumberDomain.model_fields, *ChoiceDomain.model_fields]


def checked(kind: type[Model], tree: Mapping[str, Any], where: str) -> Model:
    """Make a record of plain data.

    Args:
        kind: The record's class.
        tree: Names and values, as YAML holds them.
        where: What to name in an error.

    Raises:
        UsageError: They are not what the class takes; one line on the first problem.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_problem(error, kind)}") from None


def _first_problem(error: ValidationError, kind: type[BaseModel]) -> str:
    # A misspelt name explains a missing one: tell it first.
    problem = max(error.errors(), key=lambda item: item["type"] == "extra_forbidden")
    # Between the names of settings, pydantic puts those of union members: our tags, and plain types.
    parts = map(str, problem["loc"])
    location = [shortened(part) for part in parts if not re.fullmatch(r"<\w+>|bool|int|float|str", part)]
    name = ".".join(location)
    message = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden" if location[:2] == ["search", "space"] and location[-1] in _DOMAIN_NAMES:
            return (
                f"{name}: a domain has either min and max, or choices; give it whole, "
                f"for instance --set '{'.'.join(location[:-1])}={{choices: [1, 2]}}'"
            )
        case "extra_forbidden":
            return f"{name}: no such setting{suggest(location[-1], _names_beside(location, kind))}"
        case "value_error":
            return f"{name}: {message}" if name else message
        case "missing":
            return f"{name}: is missing; add it"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{name}: expected settings under this name; add some, or remove it"
        case "bool_type" if problem["loc"][-1] == "bool":
            return f"{name}: expected a number, a word, true or false; correct it"
        case "bool_type":
            return f"{name}: expected true or false; correct it"
    shown = problem["input"]
    got = f", got {shortened(repr(shown))}" if isinstance(shown, (str, int, float, bool)) else ""
    return f"{name}: {message[:1].lower()}{message[1:]}{got}; correct it"


def shortened(text: str) -> str:
    """Return a text that an error can quote in its one line."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def _names_beside(location: list[str], root: type[BaseModel]) -> list[str]:
    """Return the names of the settings in the section that the last part of `location` was looked for in."""
    section = root
    for part in location[:-1]:
        if part.isdecimal():  # a place in a list, whose items the name before it has told
            continue
        field = section.model_fields.get(part)
        kind = field.annotation if field is not None else None
        if get_origin(kind) is list:
            kind = get_args(kind)[0]
        # On Python 3.10 a generic alias such as dict[str, Domain] passes for a type.
        if get_origin(kind) is not None or not isinstance(kind, type) or not issubclass(kind, BaseModel):
            return _DOMAIN_NAMES
        section = kind
    return list(section.model_fields)


def load(
    kind: type[Model], path: Path | None, assignments: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Model:
    """Read settings: defaults, then a YAML file, then overrides, then `key=value` assignments, the later winning.

    Args:
        kind: The class of the settings.
        path: A YAML file; None takes the defaults. That of a run means what it meant when the run was begun: see
            `Section.earlier_values`.
        assignments: Dotted `key=value` texts; the value is YAML, for instance `search.pbt.fraction=0.2`.
        overrides: Dotted keys to values, for options of the command line that have a name of their own.

    Returns:
        The checked settings.

    Raises:
        UsageError: The file or a value cannot be used; says which key, and the nearest known one for a misspelt key.
    """
    where = str(path) if path is not None else "settings"
    written = read_yaml(path) if path is not None else {}
    if path is not None and _is_of_a_run(path) and issubclass(kind, Section):
        written = with_earlier_values(written, kind)
    _import_plugins(written.get("plugins"), where)
    for text in assignments:
        key, _, value = text.partition("=")
        if key.strip() == "plugins":
            _import_plugins(parse_yaml(value, f"--set {shortened(text)}"), "--set plugins")
    settings = checked(kind, written, where)
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
    return checked(kind, tree, where)


def _is_of_a_run(path: Path) -> bool:
    """Return whether a file of settings lies where a run was begun."""
    return path.name == SETTINGS_FILE and any(path.with_name(name).exists() for name in (JOURNAL_FILE, LOCK_FILE))


def _import_plugins(names: object, where: str) -> None:
    """Import modules that register what settings may name; what is no list of names is refused with the settings.

    An error in such a module is its author's, and keeps its traceback.

    Raises:
        UsageError: There is no such module.
    """
    for name in names if isinstance(names, list) else []:
        if not isinstance(name, str) or name in sys.modules:
            continue
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise UsageError(
                f"{where}: plugins: no module '{name}' in {os.getcwd()} or among what is installed; correct the name"
            ) from None


def _assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, last = dotted.split(".")
    for section in sections:
        below = tree.setdefault(section, {})
        if not isinstance(below, dict):
            raise UsageError(f"{dotted}: '{section}' is a value, not a section; remove the part after it")
        tree = below
    tree[last] = value


def dump_settings(settings: BaseModel) -> str:
    """Return settings as YAML text that `load` reads back to the same settings."""
    return dump_yaml(settings.model_dump(mode="json"))
