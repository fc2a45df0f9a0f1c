from __future__ import annotations

import copy
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus import subwords as module
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.subwords import BOS, CONTROLS, EOS, FIRST_WORD, PAD, REPLACEMENT, UNK, Subwords
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings

CORPUS = load_corpus(CorpusSettings(train_pairs=300, dev_pairs=50, test_pairs=50), 0)
TEXTS = (*CORPUS.train.source, *CORPUS.train.target)


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.train(TEXTS, 200, 0)


def test_the_vocabulary_is_as_large_as_asked_for_and_deterministic(subwords: Subwords) -> None:
    assert subwords.size == 200
    assert Subwords.train(TEXTS, 200, 0).model == subwords.model
    assert Subwords.train(TEXTS, 150, 0).size == 150


def test_training_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Subwords.train(TEXTS, 150, 0)
    assert capfd.readouterr() == ("", "")


def test_too_large_a_vocabulary_is_refused_with_the_largest_that_works() -> None:
    with pytest.raises(UsageError, match=r"corpus.vocabulary_size: 5,000 subwords are more .* the largest is \d+") as e:
        Subwords.train(TEXTS, 5_000, 0)
    largest = int(re.findall(r"\d+", str(e.value))[-1])
    assert Subwords.train(TEXTS, largest, 0).size == largest
    with pytest.raises(UsageError, match=f"the largest is {largest}"):
        Subwords.train(TEXTS, largest + 1, 0)


def test_too_small_a_vocabulary_is_refused_with_the_smallest_that_works() -> None:
    with pytest.raises(UsageError, match=r"16 subwords are too few .* the smallest is \d+") as error:
        Subwords.train(TEXTS, 16, 0)
    smallest = int(re.findall(r"\d+", str(error.value))[-1])
    assert Subwords.train(TEXTS, smallest, 0).size == smallest


def test_text_without_characters_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be trained"):
        Subwords.train(["\u200b", "\u200b"], 16, 0, "nmt_nfkc")


def test_every_character_of_the_text_is_known() -> None:
    rare = Subwords.train((*TEXTS, "ŷ"), 200, 0)
    assert UNK not in rare.encode(["ŷ"])[0]


def test_of_a_large_alphabet_the_rarest_characters_are_unknown() -> None:
    common = ["".join(chr(0x4E00 + i) for i in range(start, start + 50)) for start in range(0, 1000, 50)] * 30
    trained = Subwords.train([*common, "\u9f00\u9f01\u9f02"], 1005, 0)
    assert UNK in trained.encode(["\u9f00"])[0]
    assert UNK not in trained.encode([common[3]])[0]


@pytest.fixture(scope="module")
def with_bytes() -> Subwords:
    return Subwords.train(TEXTS, 420, 0, byte_fallback=True)


NEVER_SEEN = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"), max_codepoint=0x2FFFF), max_size=12)


@given(texts=st.lists(NEVER_SEEN, min_size=1, max_size=6))
@settings(max_examples=60)
def test_with_bytes_every_character_comes_back(with_bytes: Subwords, texts: list[str]) -> None:
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    ids = with_bytes.encode(texts)
    assert not any((sentence == UNK).any() for sentence in ids)
    assert with_bytes.decode(ids) == texts
    assert [with_bytes.count(text) for text in texts] == [len(sentence) for sentence in ids]


def test_without_bytes_a_character_that_was_never_seen_is_lost(subwords: Subwords, with_bytes: Subwords) -> None:
    text = "Łódź 2024: 😀"
    assert subwords.decode(subwords.encode([text])) != [text]
    assert with_bytes.decode(with_bytes.encode([text])) == [text]
    assert not subwords.can_write("😀")
    assert with_bytes.can_write("😀")
    assert Subwords.train(TEXTS, 200, 0, byte_fallback=False).model == subwords.model


def test_bytes_that_are_no_text_are_replaced(with_bytes: Subwords, subwords: Subwords) -> None:
    assert (with_bytes.has_bytes, subwords.has_bytes) == (True, False)
    for byte in (0x00, 0x07, 0x1B, 0x7F, 0xE2):
        assert with_bytes.decode([[FIRST_WORD + byte]]) == ["\ufffd"]
        (found,) = with_bytes.tokenizer.detokenize(np.array([[FIRST_WORD + byte]], np.int32)).numpy()
        replaced = tf.strings.regex_replace(found, CONTROLS, REPLACEMENT)  # as in an exported model
        assert replaced.numpy().decode() == "\ufffd"
    assert with_bytes.decode([[FIRST_WORD + 0x41]]) == ["A"]


def test_with_bytes_the_rarest_characters_are_learned_as_bytes() -> None:
    found = Subwords.train([*TEXTS, "Ω"], 420, 0, byte_fallback=True)
    assert found.pieces(found.encode(["Ω"])[0]) == ["▁", "<0xCE>", "<0xA9>"]
    assert found.pieces(Subwords.train([*TEXTS, "Ω"], 200, 0).encode(["Ω"])[0]) != ["▁", "<unk>"]


def test_a_word_with_bytes_is_cut_in_one_way(with_bytes: Subwords) -> None:
    word = tuple(with_bytes.encode(["Ωcat"])[0].tolist())
    cuts, scores = with_bytes.cuts(word, 8)
    assert (cuts, scores.tolist()) == ([word], [0.0])
    literal = tuple(with_bytes.encode(["cat"])[0].tolist())
    assert len(with_bytes.cuts(literal, 8)[0]) > 1


def test_too_few_subwords_for_the_bytes_are_refused_with_the_smallest_that_works() -> None:
    with pytest.raises(UsageError, match=r"200 subwords are too few .* the smallest is \d+") as refused:
        Subwords.train(TEXTS, 200, 0, byte_fallback=True)
    smallest = int(re.findall(r"\d+", str(refused.value))[-1])
    assert Subwords.train(TEXTS, smallest, 0, byte_fallback=True).size == smallest


def test_a_long_line_counts() -> None:
    trained = Subwords.train([*TEXTS, "ŷ " * 5_000], 200, 0)
    assert UNK not in trained.encode(["ŷ"])[0]


@pytest.mark.parametrize(("limit", "most"), [("_MOST_TEXTS", 200), ("_MOST_CHARACTERS", 8000)])
def test_of_very_many_texts_the_seed_draws_some(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    assert len(TEXTS) > 200
    assert sum(map(len, TEXTS)) > 8000
    monkeypatch.setattr(module, limit, most)
    models = [Subwords.train(TEXTS, 100, seed).model for seed in (0, 0, 1)]
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_ids_have_no_frame(subwords: Subwords) -> None:
    for ids in subwords.encode(CORPUS.dev.source):
        assert ids.dtype == np.int32
        assert ids.ndim == 1
        assert not set(ids.tolist()) & {PAD, BOS, EOS}


def test_decoding_undoes_encoding(subwords: Subwords) -> None:
    for text in (CORPUS.train.source, CORPUS.train.target):
        assert tuple(subwords.decode(subwords.encode(text))) == text


def test_decoding_stops_at_the_end_and_leaves_out_what_is_no_text(subwords: Subwords) -> None:
    ids = subwords.encode(["The man is old."])[0]
    framed = np.array([BOS, *ids[:2], UNK, *ids[2:], EOS, *ids, PAD, PAD], np.int32)
    assert subwords.decode([framed, [], [EOS, *ids], list(ids)]) == ["The man is old.", "", "", "The man is old."]


def test_nothing_encodes_and_decodes_to_nothing(subwords: Subwords) -> None:
    assert subwords.encode([]) == []
    assert subwords.decode([]) == []
    assert [len(ids) for ids in subwords.encode(["", " ", "The"])][:2] == [0, 0]


def test_many_sentences_are_encoded_in_parts(subwords: Subwords, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = subwords.encode(CORPUS.train.source)
    monkeypatch.setattr(module, "_BATCH", 7)
    parts = subwords.encode(CORPUS.train.source)
    assert [ids.tolist() for ids in parts] == [ids.tolist() for ids in whole]
    assert tuple(subwords.decode(parts)) == CORPUS.train.source


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40), min_size=1))
def test_tensorflow_text_and_sentencepiece_agree(subwords: Subwords, texts: list[str]) -> None:
    texts = [*texts, *CORPUS.dev.target[:5]]
    ids = subwords.encode(texts)
    assert [found.tolist() for found in ids] == [subwords._processor.EncodeAsIds(text) for text in texts]
    assert [len(found) for found in ids] == [subwords.count(text) for text in texts]
    plain = [found[found != UNK] for found in ids]
    assert subwords.decode(plain) == [subwords._processor.DecodeIds(found.tolist()) for found in plain]


def test_a_model_comes_back_from_its_bytes(subwords: Subwords) -> None:
    again = Subwords.load(subwords.model)
    assert again == subwords
    assert hash(again) == hash(subwords)
    assert again.size == 200
    assert again.encode(["The man"])[0].tolist() == subwords.encode(["The man"])[0].tolist()
    assert subwords != Subwords.train(TEXTS, 150, 0)
    assert copy.deepcopy(subwords) == subwords


@pytest.mark.parametrize("model", [b"", b"no model", b"\0" * 100])
def test_what_is_no_model_is_refused(model: bytes) -> None:
    with pytest.raises(UsageError, match="not a SentencePiece model"):
        Subwords.load(model)


def test_training_does_not_import_tensorflow() -> None:
    code = (
        "import sys; from nmt_pbt.tasks.translation.corpus.prepared import check; "
        "from nmt_pbt.tasks.translation.settings.sections import CorpusSettings; "
        "check(CorpusSettings(), 0); print([m for m in ('tensorflow', 'tensorflow_text', 'keras') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
