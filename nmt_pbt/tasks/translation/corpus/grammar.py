"""A synchronous context-free grammar: one derivation writes a sentence in two languages.

The toy corpus is sampled from `toy_grammar.yaml`, whose head tells the format; `grammar_file.py` reads it. A
synchronous grammar (Lewis & Stearns 1968) pairs the children of a rule on both sides, where their order may differ.
Features (case, gender, number) are handed down as keys and asked for sideways; each has finitely many values.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_DRAWS_AT_ONCE = 4096
_MOST_REJECTED = 10_000
_SPACE_BEFORE_MARK = re.compile(r" (?=[.,?!])")

Forms = str | Mapping[str, "Forms"]


@dataclass(frozen=True)
class Word:
    """A word with its forms in both languages.

    Attributes:
        forms: For each language a text, or branches by key.
        features: What its line in the list says, by column of its paradigm.
    """

    forms: tuple[Forms, Forms]
    features: Mapping[str, str]


@dataclass(frozen=True)
class Key:
    """One key of a reference: a constant, a feature of a part, or the `position`-th key that the phrase takes."""

    constant: str = ""
    path: tuple[str, ...] = ()
    position: int = -1


@dataclass(frozen=True)
class Reference:
    """A place in a template where a part, or a part of a part, is written."""

    path: tuple[str, ...]
    variant: str
    keys: tuple[Key, ...]


Template = tuple[str | Reference, ...]


@dataclass(frozen=True)
class Alternative:
    """One way to expand a phrase.

    Attributes:
        symbol: The phrase's name, for messages.
        parts: Its children: their names, and the symbols they are drawn from.
        features: A constant (one element) or the path of a part's feature, by name.
        templates: For each language, templates by variant.
    """

    symbol: str
    parts: tuple[tuple[str, str], ...]
    features: Mapping[str, tuple[str, ...]]
    templates: tuple[Mapping[str, Template], Mapping[str, Template]]


@dataclass(slots=True)  # frozen ones take several times as long to make
class Phrase:
    """An expanded alternative."""

    alternative: Alternative
    children: Mapping[str, Node]


Node = Word | Phrase


class Choices:
    """What a symbol can become, and how likely.

    Args:
        options: Words, alternatives, or names of other symbols.
        weights: Their weights, above 0; they need not sum to 1.
    """

    def __init__(self, options: Sequence[Word | Alternative | str], weights: Sequence[float]) -> None:
        if not options or min(weights) <= 0:
            raise ValueError("a symbol needs an option, and weights above 0")
        self.options = tuple(options)
        self._cumulative = tuple(accumulate(weights))

    def draw(self, uniform: float) -> Word | Alternative | str:
        """Return the option that a number drawn from [0, 1) falls on."""
        return self.options[bisect_right(self._cumulative, uniform * self._cumulative[-1])]


@dataclass(frozen=True)
class Grammar:
    """A grammar to sample sentence pairs from.

    Attributes:
        where: What to call it in messages.
        languages: The two languages.
        start: The symbol of a whole sentence.
        least: Words of the shortest sentence to keep, on either side.
        most: Words of the longest.
        symbols: What each symbol can become.
        finish: For each language, patterns and replacements for the finished sentence.
    """

    where: str
    languages: tuple[str, str]
    start: str
    least: int
    most: int
    symbols: Mapping[str, Choices]
    finish: tuple[Sequence[tuple[re.Pattern[str], str]], Sequence[tuple[re.Pattern[str], str]]]

    def pairs(self, random: np.random.Generator) -> Iterator[tuple[str, str]]:
        """Yield sentence pairs without end; likely ones come more than once.

        Args:
            random: Where the draws come from.

        Yields:
            A sentence in each of `languages`.

        Raises:
            UsageError: The grammar asks for a part or a form that it does not have, or writes no sentence between
                `least` and `most` words long.
        """
        uniform = _uniform(random)
        rejected = 0
        while rejected < _MOST_REJECTED:
            derivation = self._expand(self.start, uniform)
            first, second = self._sentence(derivation, 0), self._sentence(derivation, 1)
            if self.least <= first.count(" ") + 1 <= self.most and self.least <= second.count(" ") + 1 <= self.most:
                rejected = 0
                yield first, second
            else:
                rejected += 1
        raise UsageError(
            f"{self.where}: {_MOST_REJECTED:,} sentences in a row are not of {self.least} to {self.most} words; "
            "widen `length`"
        )

    def _expand(self, symbol: str, uniform: Iterator[float]) -> Node:
        option: Word | Alternative | str = symbol
        while isinstance(option, str):
            option = self.symbols[option].draw(next(uniform))
        if isinstance(option, Word):
            return option
        children: dict[str, Node] = {}
        for name, below in option.parts:
            children[name] = self._expand(below, uniform)
        return Phrase(option, children)

    def _sentence(self, derivation: Node, side: int) -> str:
        words: list[str] = []
        self._write(derivation, side, "plain", (), words)
        text = _SPACE_BEFORE_MARK.sub("", " ".join(words))
        for pattern, replacement in self.finish[side]:
            text = pattern.sub(replacement, text)
        return text[:1].upper() + text[1:]

    def _write(self, node: Node, side: int, variant: str, keys: tuple[str, ...], words: list[str]) -> None:
        """Append the words of a node, in one language, to `words`."""
        if isinstance(node, Word):
            if form := self._form(node.forms[side], keys):
                words.append(form)
            return
        templates = node.alternative.templates[side]
        template = templates.get(variant) if len(templates) > 1 else next(iter(templates.values()))
        if template is None:
            raise self._error(node, f"has no variant '{variant}'")
        for piece in template:
            if isinstance(piece, str):
                words.append(piece)
                continue
            below = tuple([key.constant or self._key(key, node, keys) for key in piece.keys]) if piece.keys else ()
            part = self._follow(node, piece.path)
            if not isinstance(part, Word):
                self._write(part, side, piece.variant, below, words)
            elif form := self._form(part.forms[side], below):
                words.append(form)

    def _form(self, form: Forms, keys: tuple[str, ...]) -> str:
        if isinstance(form, str):
            return form
        for key in keys:
            if isinstance(form, str):
                return form
            if key not in form:
                break
            form = form[key]
        if not isinstance(form, str):
            raise UsageError(
                f"{self.where}: the keys '{' '.join(keys)}' lead to no form; a word there has {', '.join(form)}"
            )
        return form

    def _key(self, key: Key, phrase: Phrase, keys: tuple[str, ...]) -> str:
        if key.path:
            return self._feature(phrase, key.path)
        if key.position >= len(keys):
            raise self._error(phrase, f"is given {len(keys)} keys where it takes more")
        return keys[key.position]

    def _feature(self, phrase: Phrase, path: tuple[str, ...]) -> str:
        node = self._follow(phrase, path[:-1])
        value: str | tuple[str, ...] | None
        value = node.features.get(path[-1]) if isinstance(node, Word) else node.alternative.features.get(path[-1])
        if value is None:
            raise self._error(phrase, f"asks for {'.'.join(path)}, and there is no such feature")
        if isinstance(value, str):
            return value
        return value[0] if isinstance(node, Word) or len(value) == 1 else self._feature(node, value)

    def _follow(self, phrase: Phrase, path: tuple[str, ...]) -> Node:
        node: Node = phrase
        for name in path:
            below = node.children.get(name) if isinstance(node, Phrase) else None
            if below is None:
                raise self._error(phrase, f"asks for {'.'.join(path)}, and there is no such part")
            node = below
        return node

    def _error(self, phrase: Phrase, problem: str) -> UsageError:
        return UsageError(f"{self.where}: phrase '{phrase.alternative.symbol}' {problem}; correct it there")


def _uniform(random: np.random.Generator) -> Iterator[float]:
    """Yield draws from [0, 1), taken from the generator many at once for speed."""
    while True:
        yield from random.random(_DRAWS_AT_ONCE).tolist()
