"""Subwords: a joint SentencePiece vocabulary (Kudo 2018), trained by `sentencepiece`, applied by `tensorflow_text`."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.flat import IdSequences, in_blocks
from nmt_pbt.tasks.translation.corpus.normalization import BREAKS, Normalization, trainer_arguments, without_path

PAD, UNK, BOS, EOS = 0, 1, 2, 3
"""Ids that are no text: padding, unknown, begin and end of a sentence."""

SUBWORDS = "subwords.model"
"""File of a run that holds its subword vocabulary."""
FIRST_WORD = 4
"""The lowest id that is text."""

CONTROLS = r"[\x00-\x08\x0e-\x1b\x7f]"
"""Regular expression of control characters that are no white space. A model that writes bytes may write them."""
REPLACEMENT = "\ufffd"
"""What stands for bytes that are no text, as in Unicode."""

_SPACE = "\u2581"  # how SentencePiece writes the space before a word
# Learning takes time in proportion to the text: with a million pairs it would take most of a run's preparation.
_MOST_TEXTS = 100_000
_MOST_CHARACTERS = 6_000_000
_LARGE_ALPHABET = 1_000  # more characters than this are a script like Chinese's: the rarest become unknown
_BATCH = 8192
_TOO_LARGE = re.compile(r"Vocabulary size too high.*<= (\d+)")
_TOO_SMALL = re.compile(r"Vocabulary size is smaller than required_chars\. \d+ vs (\d+)")
_NO_TEXT = ("!sentences_.empty()", "(all_chars_count) > (0)")
_WHERE = re.compile(r"^[A-Z_]+: \S+\(\d+\) ")  # kind of error, and place in SentencePiece's own text


class Subwords:
    """A trained vocabulary. Equal models are equal subwords.

    Args:
        model: The serialised SentencePiece model.

    Raises:
        UsageError: `model` is not a SentencePiece model.

    Attributes:
        model: The serialised SentencePiece model.
        size: Subwords in the vocabulary, the special ones included.
        has_bytes: Whether characters outside the vocabulary are cut into bytes.
    """

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.model = model
        processor = sentencepiece.SentencePieceProcessor()
        try:
            loaded = bool(model) and processor.LoadFromSerializedProto(model)
        except RuntimeError:
            loaded = False
        if not loaded:
            raise UsageError("subwords: not a SentencePiece model; restore the run's file from a copy")
        self.size: int = processor.GetPieceSize()
        self.has_bytes: bool = self.size > FIRST_WORD and bool(processor.IsByte(FIRST_WORD))
        self._processor = processor

    @classmethod
    def train(
        cls,
        texts: Sequence[str],
        vocabulary_size: int,
        seed: int,
        normalization: Normalization = "nfc",
        byte_fallback: bool = False,
    ) -> Subwords:
        """Train a unigram vocabulary; the same texts, size and seed give the same model. TensorFlow is not needed.

        Args:
            texts: Sentences of both languages.
            vocabulary_size: Subwords, the four special ones included.
            seed: Decides which texts are used where there are more than 100,000, or more than 6 million characters.
            normalization: What is done to text before it is cut; see `normalization`.
            byte_fallback: Whether characters outside the vocabulary are cut into bytes; else they are unknown.

        Returns:
            The vocabulary.

        Raises:
            UsageError: The texts do not allow so large, or so small, a vocabulary; says which size they allow.
        """
        import sentencepiece

        lines = _sample(texts, seed)
        alphabet = set(chain.from_iterable(lines))
        model = io.BytesIO()
        try:
            with tempfile.TemporaryDirectory() as folder:
                sentencepiece.SentencePieceTrainer.train(
                    sentence_iterator=iter(lines),
                    model_writer=model,
                    model_type="unigram",
                    vocab_size=vocabulary_size,
                    hard_vocab_limit=True,
                    byte_fallback=byte_fallback,
                    character_coverage=_coverage(len(alphabet), byte_fallback),
                    pad_id=PAD,
                    unk_id=UNK,
                    bos_id=BOS,
                    eos_id=EOS,
                    # A line longer than the limit, in bytes, would be left out without a word; it is at least 10.
                    max_sentence_length=max(10, max((4 * len(line) for line in lines), default=0) + 1),
                    num_threads=1,
                    minloglevel=2,
                    **trainer_arguments(normalization, folder, alphabet),
                )
        except RuntimeError as error:
            raise _refusal(str(error), vocabulary_size) from None
        return cls(without_path(model.getvalue()) if normalization == "nfc" else model.getvalue())

    @classmethod
    def load(cls, model: bytes) -> Subwords:
        """Return the vocabulary of a serialised model; see the class."""
        return cls(model)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Cut texts into subwords.

        Args:
            texts: Sentences.

        Returns:
            For each sentence its ids, `[length]` int32, without BOS and EOS.
        """
        ids: list[np.ndarray] = []
        for block in self.encode_flat(texts):
            ids.extend(np.split(block.ids, block.offsets[1:-1]))
        return ids

    def encode_flat(self, texts: Iterable[str]) -> Iterator[IdSequences]:
        """Cut texts into subwords without an object for each.

        Args:
            texts: Sentences.

        Yields:
            The ids of the sentences, thousands of sentences at a time, without BOS and EOS.
        """
        for block in in_blocks(texts):
            ragged = self.tokenizer.tokenize(block)
            yield IdSequences(ragged.values.numpy(), ragged.row_splits.numpy())

    def decode(self, sentences: Sequence[Sequence[int] | np.ndarray]) -> list[str]:
        """Put subwords together to text.

        Args:
            sentences: Ids of each sentence. What follows an EOS is ignored, special ids are left out.

        Returns:
            The texts. Bytes that are no text are replaced.
        """
        import tensorflow as tf

        texts: list[str] = []
        for start in range(0, len(sentences), _BATCH):
            plain = [_without_special(ids) for ids in sentences[start : start + _BATCH]]
            ragged = tf.RaggedTensor.from_row_lengths(
                np.concatenate(plain), np.array([len(ids) for ids in plain], np.int64)
            )
            texts.extend(text.decode("utf-8") for text in self.tokenizer.detokenize(ragged).numpy())
        return [re.sub(CONTROLS, REPLACEMENT, text) for text in texts] if self.has_bytes else texts

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return how subwords are written: `▁` stands for the space before a word, `</s>` for the end."""
        return [self._processor.IdToPiece(int(one)) for one in ids]

    def count(self, text: str) -> int:
        """Return how many subwords a text has, without TensorFlow."""
        return len(self._processor.EncodeAsIds(text))

    def can_write(self, character: str) -> bool:
        """Return whether a model with these subwords could write a character."""
        if character == " " or character in BREAKS:
            return True  # as a space
        ids = self._processor.EncodeAsIds(character)
        return UNK not in ids and bool(self._processor.DecodeIds(ids) == character)

    def begins_word(self, subword: int) -> bool:
        """Return whether a subword begins a word."""
        return self._processor.IdToPiece(subword).startswith(_SPACE)

    def cuts(self, word: Sequence[int], most: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
        """Return the most probable ways to cut one word.

        Args:
            word: Ids of its most probable cut; it comes back alone where it holds something unknown, or bytes.
            most: How many ways there may be.

        Returns:
            The cuts, `word` first, and their log-probabilities, falling.
        """
        best = tuple(word)
        text = self._pieces(best)
        if UNK in best or any(map(self._processor.IsByte, best)) or not text.startswith(_SPACE):
            return [best], np.zeros(1)
        found = self._processor.NBestEncodeAsIds(text.removeprefix(_SPACE), most)
        others = [cut for cut in map(tuple, found) if cut != best and self._pieces(cut) == text]
        cuts = [best, *others][:most]
        return cuts, np.array([sum(map(self._processor.GetScore, cut)) for cut in cuts])

    def _pieces(self, cut: Sequence[int]) -> str:
        return "".join(map(self._processor.IdToPiece, cut))

    @cached_property
    def tokenizer(self) -> Any:
        """The `tensorflow_text.SentencepieceTokenizer`, to be used inside a graph; texts to ids, int32, and back."""
        import tensorflow as tf
        import tensorflow_text

        return tensorflow_text.SentencepieceTokenizer(model=self.model, out_type=tf.int32)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subwords) and self.model == other.model

    def __hash__(self) -> int:
        return hash(self.model)

    def __reduce__(self) -> tuple[type[Subwords], tuple[bytes]]:
        return Subwords, (self.model,)


def _sample(texts: Sequence[str], seed: int) -> list[str]:
    """Return the texts to learn from, in their order: all, or as many, drawn at random, as the limits allow."""
    drawn = generator(seed, "subwords").choice(len(texts), min(len(texts), _MOST_TEXTS), replace=False)
    lines = [texts[index] for index in drawn.tolist()]
    characters = np.cumsum([len(line) for line in lines])
    within = max(1, int(np.searchsorted(characters, _MOST_CHARACTERS, side="right")))
    return [lines[place] for place in np.argsort(drawn[:within]).tolist()]


def _coverage(characters: int, byte_fallback: bool) -> float:
    """Return the share of the text's characters that the vocabulary has as such."""
    if byte_fallback:  # else no text would hold a byte: a model could not learn what to make of them
        return 0.9995
    return 1.0 if characters <= _LARGE_ALPHABET else 0.9995


def _refusal(message: str, vocabulary_size: int) -> UsageError:
    """Turn what SentencePiece says into an error of ours."""
    start = f"corpus.vocabulary_size: {vocabulary_size:,} subwords are more than the text allows"
    if found := _TOO_LARGE.search(message):
        return UsageError(f"{start}; the largest is {found[1]}")
    if found := _TOO_SMALL.search(message):
        return UsageError(
            f"corpus.vocabulary_size: {vocabulary_size:,} subwords are too few for the text's characters; "
            f"the smallest is {found[1]}"
        )
    if any(check in message for check in _NO_TEXT):
        return UsageError("subwords cannot be trained: the training text has no character to make them of; check it")
    reason = " ".join(_WHERE.sub("", message).split())
    return UsageError(f"subwords cannot be trained ({reason}); check the training text")


def _without_special(sentence: Sequence[int] | np.ndarray) -> np.ndarray:
    ids = np.asarray(sentence, np.int32)
    ends = np.flatnonzero(ids == EOS)
    if len(ends):
        ids = ids[: ends[0]]
    return ids[ids >= FIRST_WORD]
