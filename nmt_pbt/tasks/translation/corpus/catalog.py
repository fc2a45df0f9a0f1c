"""The corpora that have a name, and any folder: from settings to a corpus."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_pbt.base.errors import UsageError, suggest
from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.grammar_file import toy_grammar
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText, read_folder
from nmt_pbt.tasks.translation.corpus.synthetic import TASKS, digit_lines, digit_pairs
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

if TYPE_CHECKING:
    import numpy as np

MOST_GENERATED = 1_000_000
"""Most pairs of a generated corpus, of all splits together."""

_SYMBOLS, _MAX_LENGTH = 10, 12
_HELD_OUT_SEED = 0  # dev and test of a generated corpus are the same sentences in every run, as a published set's are
_PROJECT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Entry:
    """A corpus that can be named.

    Attributes:
        name: Its name.
        description: One line on what it is.
        sizes: Pairs of train, dev and test where nothing else is asked; None: as many as its files hold.
    """

    name: str
    description: str
    sizes: tuple[int, int, int] | None


_ENTRIES = (
    Entry("toy", "English-German sentences from a grammar of our own: gender, case, verb position", (2000, 300, 500)),
    Entry("copy", "digit sequences, the same again", (10_000, 500, 500)),
    Entry("reverse", "digit sequences, from the last to the first", (10_000, 500, 500)),
    Entry("sort", "digit sequences, in ascending order", (10_000, 500, 500)),
    Entry(
        "multi30k", "captions: English, German, French, Czech; `nmt-pbt data fetch multi30k` (research use only)", None
    ),
)


def list_corpora() -> tuple[Entry, ...]:
    """Return the corpora that can be named."""
    return _ENTRIES


def load_corpus(settings: CorpusSettings, seed: int) -> Corpus:
    """Load or generate the corpus that the settings name.

    A name of the catalog means that corpus, even beside a folder of the same name; write `./NAME` for the folder.
    Where dev or test are cut short, their first pairs stay. Dev and test of a generated corpus do not depend on the
    seed, and its training pairs never repeat a source sentence of theirs.

    Args:
        settings: Name or folder, languages, and how many pairs of each split.
        seed: Decides which training pairs are drawn or generated.

    Returns:
        The corpus.

    Raises:
        UsageError: Unknown name, unusable folder, or more pairs asked for than there are.
    """
    entry = next((entry for entry in _ENTRIES if entry.name == settings.name), None)
    if entry is not None and entry.sizes is not None:
        return _generate(settings, entry.sizes, seed)
    if entry is not None:
        found = read_folder(_multi30k_folder(), *_languages(settings), settings.test_set)
        return _limit(replace(found, name=entry.name), settings, seed)
    folder = Path(settings.name)
    try:
        exists = folder.exists()
    except (OSError, ValueError) as error:  # too long, or holds a NUL
        raise UsageError(f"corpus {settings.name!r}: not a usable path ({error}); name a folder") from None
    if not exists and not _is_path(settings.name):
        hint = suggest(settings.name, [entry.name for entry in _ENTRIES])
        raise UsageError(f"corpus {settings.name!r}: neither a known corpus nor a folder{hint}")
    return _limit(read_folder(folder, *_languages(settings), settings.test_set), settings, seed)


def known_train_pairs(settings: CorpusSettings) -> int | None:
    """Return how many training pairs `load_corpus` will return, where the settings tell; else None."""
    sizes = next((entry.sizes for entry in _ENTRIES if entry.name == settings.name), None)
    return settings.train_pairs or (sizes[0] if sizes else None)


def _languages(settings: CorpusSettings) -> tuple[str, str]:
    return settings.source_language, settings.target_language


def _is_path(name: str) -> bool:
    return any(separator in name for separator in (os.sep, os.altsep) if separator)


def _multi30k_folder() -> Path:
    candidates = (
        Path("data", "multi30k"),
        _PROJECT / "data" / "multi30k",
        _PROJECT.parent / "shared" / "data" / "multi30k",
    )
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise UsageError("corpus 'multi30k': not on this machine; run `nmt-pbt data fetch multi30k`, or name its folder")


def _limit(corpus: Corpus, settings: CorpusSettings, seed: int) -> Corpus:
    """Cut a corpus down to as many pairs as asked for."""
    train, dev, test = corpus.train, corpus.dev, corpus.test
    for split, text, asked in (
        ("train", train, settings.train_pairs),
        ("dev", dev, settings.dev_pairs),
        ("test", test, settings.test_pairs),
    ):
        if asked is not None and asked > len(text):
            raise UsageError(
                f"corpus.{split}_pairs: {asked:,} asked for, corpus '{corpus.name}' has {len(text):,}; ask for fewer"
            )
    if settings.train_pairs is not None and settings.train_pairs < len(train):
        drawn = generator(seed, "corpus", "train pairs").choice(len(train), settings.train_pairs, replace=False)
        train = train.select(sorted(drawn.tolist()))
    dev = dev.head(settings.dev_pairs or len(dev))
    test = test.head(settings.test_pairs or len(test))
    others = {name: text.head(settings.test_pairs or len(text)) for name, text in corpus.other_tests.items()}
    return replace(corpus, train=train, dev=dev, test=test, other_tests=others)


def _generate(settings: CorpusSettings, sizes: tuple[int, int, int], seed: int) -> Corpus:
    name = settings.name
    asked = (settings.train_pairs or sizes[0], settings.dev_pairs or sizes[1], settings.test_pairs or sizes[2])
    held_out = tuple(max(pair) for pair in zip(asked[1:], sizes[1:], strict=True))
    wanted = asked[0] + sum(held_out)
    available = MOST_GENERATED
    if name in TASKS:
        available = min(available, digit_lines(_SYMBOLS, _MAX_LENGTH))
    if wanted > available:
        raise UsageError(
            f"corpus '{name}': {asked[0]:,} train, {asked[1]:,} dev and {asked[2]:,} test pairs asked for, "
            f"at most {available:,} in all are made; ask for fewer"
        )
    if settings.test_set not in (None, "test"):
        raise UsageError(f"corpus.test_set {settings.test_set}: corpus '{name}' has one test set; leave it out")
    languages, pairs = _pair_source(settings)
    # The usual held-out pairs are set apart even if fewer are asked for: the first n stay the first n.
    test = _distinct(pairs(generator(_HELD_OUT_SEED, "corpus", name, "test")), held_out[1], set())
    taken = {source for source, _ in test}
    dev = _distinct(pairs(generator(_HELD_OUT_SEED, "corpus", name, "dev")), held_out[0], taken)
    taken.update(source for source, _ in dev)
    train = _distinct(pairs(generator(seed, "corpus", name, "train")), asked[0], taken)
    return Corpus(name, *languages, _text(train), _text(dev).head(asked[1]), _text(test).head(asked[2]), dropped={})


def _pair_source(
    settings: CorpusSettings,
) -> tuple[tuple[str, str], Callable[[np.random.Generator], Iterator[tuple[str, str]]]]:
    """Return the languages of a generated corpus, and what yields its pairs."""
    if settings.name in TASKS:
        return ("digits", "digits"), lambda random: digit_pairs(settings.name, random, _SYMBOLS, _MAX_LENGTH)
    grammar = toy_grammar()
    languages = _languages(settings)
    if languages == grammar.languages:
        return languages, grammar.pairs
    if languages == grammar.languages[::-1]:
        return languages, lambda random: ((second, first) for first, second in grammar.pairs(random))
    raise UsageError(
        f"corpus '{settings.name}': {languages[0]} to {languages[1]} asked for, it has "
        f"{' and '.join(grammar.languages)}; set corpus.source_language and corpus.target_language"
    )


def _distinct(pairs: Iterator[tuple[str, str]], count: int, taken: set[str]) -> list[tuple[str, str]]:
    """Return the first `count` pairs with different sources, none of them in `taken`."""
    found: dict[str, str] = {}
    for source, target in pairs:
        if source not in taken:
            found.setdefault(source, target)
        if len(found) >= count:
            break
    return list(found.items())


def _text(pairs: list[tuple[str, str]]) -> ParallelText:
    return ParallelText(tuple(source for source, _ in pairs), tuple(target for _, target in pairs))
