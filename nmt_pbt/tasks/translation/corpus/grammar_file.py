"""Reading a synchronous grammar from its YAML file; the head of `toy_grammar.yaml` tells the format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.tasks.translation.corpus.grammar import (
    Alternative,
    Choices,
    Forms,
    Grammar,
    Key,
    Reference,
    Template,
    Word,
)

TOY_GRAMMAR = Path(__file__).with_name("toy_grammar.yaml")

_RANK_OFFSET = 3  # weight 1 / (rank + 3): the last of 20 words is about six times as rare as the first
_PIECE = re.compile(r"\{([^{}]*)\}|([^\s{}]+)")
_KIND = re.compile(r"<\w+>")


@lru_cache(maxsize=1)
def toy_grammar() -> Grammar:
    """Return the English-German grammar of the toy corpus."""
    return read_grammar(TOY_GRAMMAR)


def read_grammar(path: Path) -> Grammar:
    """Read a grammar.

    Args:
        path: A YAML file of the format that the head of `toy_grammar.yaml` tells.

    Returns:
        The grammar. Its names are known to be defined; its templates are checked as they are used.

    Raises:
        UsageError: The file cannot be read, is not of the format, or uses a symbol that it does not define.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # both safe; the compiled one is eight times as fast
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read as a grammar ({' '.join(str(error).split())}); correct it") from None
    try:
        return _Reader(tree, path.name).grammar()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, re.error) as error:
        raise UsageError(f"{path}: not a grammar ({error!r}); see the head of {TOY_GRAMMAR.name}") from None


class _Reader:
    """Turns plain data into a grammar."""

    def __init__(self, tree: Mapping[str, Any], where: str) -> None:
        self._tree = tree
        self._where = where
        self._languages: tuple[str, str] = (tree["languages"][0], tree["languages"][1])

    def grammar(self) -> Grammar:
        tree = self._tree
        symbols = {
            **{name: self._words(name, entry) for name, entry in tree["words"].items()},
            **{name: Choices(list(group), list(group.values())) for name, group in tree["groups"].items()},
            **dict(self._phrases(tree["phrases"])),
        }
        self._check_names(tree["start"], symbols)
        finish = [
            [(re.compile(pattern), replacement) for pattern, replacement in tree.get("finish", {}).get(language, [])]
            for language in self._languages
        ]
        length = tree["length"]
        return Grammar(
            self._where,
            self._languages,
            tree["start"],
            int(length["least"]),
            int(length["most"]),
            symbols,
            (finish[0], finish[1]),
        )

    def _words(self, name: str, entry: Mapping[str, Any]) -> Choices:
        paradigms = self._tree["paradigms"]
        paradigm = paradigms.get(entry.get("paradigm", "fixed"))
        if paradigm is None:
            wanted = entry["paradigm"]
            raise self._error(f"words '{name}': no such paradigm '{wanted}'{suggest(wanted, paradigms)}")
        columns = [side.split() for side in paradigm["columns"].split("|")]
        words = []
        for line in entry["list"].splitlines():
            sides = [side.split() for side in line.split("|")]
            place = f"words '{name}', '{line.strip()}'"
            if len(sides) != len(columns):
                raise self._error(f"{place}: expected two sides with a | between")
            features: dict[str, str] = {}
            for titles, values in zip(columns, sides, strict=True):
                features.update(self._columns(place, titles, values))
            first, second = (_inflect(paradigm[language], features) for language in self._languages)
            words.append(Word((first, second), features))
        return Choices(words, [1 / (rank + _RANK_OFFSET) for rank in range(1, len(words) + 1)])

    def _columns(self, place: str, titles: list[str], values: list[str]) -> dict[str, str]:
        """Return what one side of a line says, by column; a default names another column or is itself the text."""
        if len(values) > len(titles):
            raise self._error(f"{place}: more columns than {' '.join(titles)}")
        features: dict[str, str] = {}
        for position, column in enumerate(titles):
            title, has_default, default = column.partition("=")
            if position >= len(values) and not has_default:
                raise self._error(f"{place}: no column for {title}")
            value = values[position] if position < len(values) else default
            if position >= len(values) and default in features:
                features[title] = features[default]
            else:
                features[title] = "" if value == "-" else value.replace("_", " ")
        return features

    def _phrases(self, phrases: Mapping[str, Any]) -> Iterator[tuple[str, Choices]]:
        for name, entry in phrases.items():
            for kind in entry.get("kinds", [""]):
                symbol, definition = _substitute(name, kind), _substitute(entry, kind)
                takes = tuple(definition.get("takes", "").split())
                alternatives = [self._alternative(symbol, takes, item) for item in definition["alternatives"]]
                yield symbol, Choices(alternatives, [item.get("weight", 1) for item in definition["alternatives"]])

    def _alternative(self, symbol: str, takes: tuple[str, ...], item: Mapping[str, Any]) -> Alternative:
        first, second = (
            {variant: _template(text, takes) for variant, text in _variants(item[language]).items()}
            for language in self._languages
        )
        return Alternative(
            symbol,
            tuple(item.get("parts", {}).items()),
            {name: tuple(value.split(".")) for name, value in item.get("features", {}).items()},
            (first, second),
        )

    def _check_names(self, start: str, symbols: Mapping[str, Choices]) -> None:
        wanted = [("start", start)]
        for symbol, choices in symbols.items():
            for option in choices.options:
                if isinstance(option, str):
                    wanted.append((f"group '{symbol}'", option))
                elif isinstance(option, Alternative):
                    wanted.extend((f"phrase '{symbol}'", below) for _, below in option.parts)
        for place, symbol in wanted:
            if symbol not in symbols:
                raise self._error(f"{place}: no such symbol '{symbol}'{suggest(symbol, symbols)}")

    def _error(self, problem: str) -> UsageError:
        return UsageError(f"{self._where}: {problem}; correct it there")


def _inflect(forms: Any, features: Mapping[str, str]) -> Forms:
    """Put a word's columns into the forms of its paradigm."""
    if isinstance(forms, str):
        return forms.format_map(features)
    return {key: _inflect(below, features) for key, below in forms.items()}


def _substitute(entry: Any, kind: str) -> Any:
    """Put `kind` for `<...>` in all texts of a phrase."""
    if isinstance(entry, str):
        return _KIND.sub(kind, entry)
    if isinstance(entry, Mapping):
        return {key: _substitute(below, kind) for key, below in entry.items()}
    return [_substitute(below, kind) for below in entry] if isinstance(entry, list) else entry


def _variants(entry: str | Mapping[str, str]) -> Mapping[str, str]:
    return {"plain": entry} if isinstance(entry, str) else entry


def _template(text: str, takes: tuple[str, ...]) -> Template:
    pieces: list[str | Reference] = []
    for reference, word in _PIECE.findall(text):
        if word:
            pieces.append(word)
        else:
            head, *keys = reference.split()
            path, _, variant = head.partition(":")
            below = tuple(_key(key, takes) for key in keys)
            pieces.append(Reference(tuple(path.split(".")), variant or "plain", below))
    return tuple(pieces)


def _key(key: str, takes: tuple[str, ...]) -> Key:
    if key in takes:
        return Key(position=takes.index(key))
    return Key(path=tuple(key.split("."))) if "." in key else Key(constant=key)
