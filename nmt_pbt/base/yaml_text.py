"""YAML as settings need it: mappings, lists and plain values, with nothing in it that could surprise or harm.

Values are read by the core schema of YAML 1.2, which PyYAML does not do: `no` is a word (and a language), not false;
`3e-4` is a number; `010` is ten. What settings have no use for is refused: anchors and aliases (a small file of them
grows without bound), tags, a name given twice, deep nesting, a huge file.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from nmt_pbt.base.errors import UsageError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_PREFIX = "tag:yaml.org,2002:"
_INT = re.compile(r"^[-+]?[0-9]{1,30}$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _RefusedError(yaml.MarkedYAMLError):
    """YAML that is valid but not for settings; `problem` says why and what to do."""

    def __init__(self, problem: str, mark: yaml.Mark | None) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _RefusedError("anchors and aliases are not for settings; write the value out", event.start_mark)
        if event.tag is not None:
            tag = event.tag.replace(_PREFIX, "!!")
            raise _RefusedError(f"the tag {tag} is not for settings; remove it", event.start_mark)
        if self._depth >= MAX_DEPTH:
            raise _RefusedError("nested too deeply to be settings; flatten it", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            if key.tag != f"{_PREFIX}str":
                raise _RefusedError("expected a setting's name before the colon; correct it", key.start_mark)
            if key.value in names:
                raise _RefusedError(f"'{key.value}' is given twice; remove one", key.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(f"{_PREFIX}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(f"{_PREFIX}bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(f"{_PREFIX}int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_PREFIX}float", _FLOAT, list("-+.0123456789"))
_Loader.add_constructor(f"{_PREFIX}int", lambda loader, node: int(node.value))


class _Dumper(yaml.SafeDumper):
    """Quotes what a reader of YAML 1.1 or of 1.2 would take for something else than text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML writes exotic line breaks bare in other styles, and reads them back as spaces.
    return dumper.represent_scalar(f"{_PREFIX}str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver(f"{_PREFIX}int", _INT, list("-+0123456789"))
_Dumper.add_implicit_resolver(f"{_PREFIX}float", _FLOAT, list("-+.0123456789"))


def parse_yaml(text: str, where: str) -> Any:
    """Read one YAML value.

    Args:
        text: The YAML.
        where: What to name in an error, for instance a path.

    Returns:
        Dictionaries with text for keys, lists, text, numbers, booleans and None.

    Raises:
        UsageError: Not YAML, or YAML that settings have no use for; names the line.
    """
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None and "\n" in text.strip() else ""
        problem = error.problem if isinstance(error, _RefusedError) else "not valid YAML; correct it"
        raise UsageError(f"{where}{line}: {problem}") from None
    finally:
        if loader is not None:
            loader.dispose()


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping.

    Args:
        path: The file, in UTF-8; an empty one is an empty mapping.

    Returns:
        The mapping.

    Raises:
        UsageError: The file is missing, too large, not text, or not such YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES // 1024} KiB, too large for settings; give a YAML file")
        text = data.decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; see configs/ for examples") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error}); give a YAML file") from None
    tree = parse_yaml(text, str(path))
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: expected a mapping of settings at the top; see configs/ for examples")
    return tree


def dump_yaml(tree: Any) -> str:
    """Return plain data as YAML text that `parse_yaml` reads back to the same data."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
