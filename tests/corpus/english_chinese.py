"""A small English-Chinese corpus, sampled from the grammar beside this file."""

from __future__ import annotations

from pathlib import Path

from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.grammar_file import read_grammar

GRAMMAR = Path(__file__).with_suffix(".yaml")


def write_english_chinese(folder: Path, **sizes: int) -> Path:
    """Write a folder of parallel files, `train`, `val` and `test`, in which no English sentence comes twice."""
    pairs = read_grammar(GRAMMAR).pairs(generator(0, "english-chinese"))
    seen: set[str] = set()
    folder.mkdir()
    for split, size in sizes.items():
        chosen: list[tuple[str, str]] = []
        while len(chosen) < size:
            english, chinese = next(pairs)
            if english not in seen:
                seen.add(english)
                chosen.append((english, chinese))
        for language, lines in zip(("en", "zh"), zip(*chosen, strict=True), strict=True):
            (folder / f"{split}.{language}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return folder
