"""The normalisation that loses nothing that can be seen, as a rule that travels inside a SentencePiece model.

NFKC, which SentencePiece applies by itself, folds what looks alike or means alike: `½` becomes `1/2`, `…` three full
stops, full-width letters plain ones. A model could then never write them, whatever its references hold. The rule made
here composes instead, as NFC does, so that `é` is one character however it was typed, and takes ends of lines and
tabs inside a line for spaces. All else stays: characters that NFC would replace by their like, too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Normalization = Literal["nfc", "nmt_nfkc"]
"""Names of the rules: ours, and that of SentencePiece and of Google's translation models before it."""

BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
"""White space that would end a line, or a column, of a file: taken for a space."""

# Unicode adds no composed character to its basic plane any more, so that the rule is the same for every Python.
_BASIC_PLANE = range(0x80, 0x10000)


@lru_cache(maxsize=2)
def composition_rule(korean: bool) -> str:
    """Return the rule in the form of SentencePiece: `code points TAB code points` in hexadecimal, one a line.

    Args:
        korean: Whether to compose Korean syllables, too: they are nine tenths of the rule, and of its time.
    """
    rules = [*_compositions(), *((_hexadecimal(character), ord(" ")) for character in BREAKS)]
    if korean:
        rules += _syllables()
    return "".join(f"{before}\t{after:X}\n" for before, after in rules)


def _compositions() -> Iterator[tuple[str, int]]:
    """Yield what each composed letter can be put together from, also where some of its parts are composed already."""
    for point in _BASIC_PLANE:
        character = chr(point)
        if not unicodedata.decomposition(character):
            continue
        parts = unicodedata.normalize("NFD", character)
        if len(parts) == 1 or unicodedata.normalize("NFC", parts) != character:
            continue  # only another name of a character, or one that Unicode never composes
        for end in range(1, len(parts)):
            yield _hexadecimal(unicodedata.normalize("NFC", parts[:end]) + parts[end:]), point


def _syllables() -> Iterator[tuple[str, int]]:
    """Yield the same of Korean syllables: first letter, vowel and, but for every 28th, last letter."""
    for place in range(19 * 21 * 28):
        first, vowel, last = 0x1100 + place // 588, 0x1161 + place % 588 // 28, 0x11A7 + place % 28
        syllable = 0xAC00 + place
        if last == 0x11A7:
            yield f"{first:X} {vowel:X}", syllable
        else:
            yield f"{first:X} {vowel:X} {last:X}", syllable
            yield f"{syllable - place % 28:X} {last:X}", syllable


def _is_korean(character: str) -> bool:
    return "가" <= character <= "힣" or "\u1100" <= character <= "\u11ff"


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def trainer_arguments(normalization: Normalization, folder: str, alphabet: Collection[str]) -> dict[str, Any]:
    """Return what `SentencePieceTrainer.train` is to be told of the normalisation.

    Args:
        normalization: Which.
        folder: An empty folder for the rule, which the trainer reads from a file.
        alphabet: All characters of the text.
    """
    if normalization == "nmt_nfkc":
        return {"normalization_rule_name": "nmt_nfkc"}
    file = Path(folder, "rule.tsv")
    file.write_text(composition_rule(any(map(_is_korean, alphabet))), encoding="ascii")
    return {"normalization_rule_tsv": str(file)}


def without_path(model: bytes) -> bytes:
    """Return a model that names its rule `nfc`, not the file that the rule was in: equal texts make equal models."""
    from sentencepiece import sentencepiece_model_pb2

    found = sentencepiece_model_pb2.ModelProto.FromString(model)  # type: ignore[attr-defined]
    found.normalizer_spec.ClearField("normalization_rule_tsv")
    found.normalizer_spec.name = "nfc"
    return bytes(found.SerializeToString(deterministic=True))
