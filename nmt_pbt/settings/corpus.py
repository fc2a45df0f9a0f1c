"""Settings of the corpus."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nmt_pbt.settings.sections import Count, FileName, Section


class CorpusSettings(Section):
    """Which sentence pairs, how many, and how they are cut into subwords."""

    name: str = "toy"
    """A corpus of the catalog (`nmt-pbt data list`) or a folder with train.SRC, train.TGT, val.*, test*.*"""
    source_language: FileName = "en"
    """Language of the text to translate: the file suffix in a folder"""
    target_language: FileName = "de"
    """Language to translate into: the file suffix in a folder"""
    train_pairs: Count | None = None
    """Use only so many training pairs, drawn by the seed; null uses all of them"""
    dev_pairs: Count | None = None
    """Use only the first so many dev pairs; null uses all of them"""
    test_pairs: Count | None = None
    """Use only the first so many test pairs; null uses all of them"""
    max_length: Annotated[int, Field(ge=4)] = 60
    """Training pairs with more subwords than this on either side are left out, and counted"""
    vocabulary_size: Annotated[int, Field(ge=16)] = 400
    """Subwords in the joint vocabulary of both languages"""
