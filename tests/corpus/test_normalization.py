"""Text that goes in can come out again; any corpus, however small, trains subwords or is told which size it allows."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.yaml_text import dump_yaml, read_yaml
from nmt_pbt.run.run_directory import RunDirectory
from nmt_pbt.tasks.translation.corpus.catalog import load_corpus
from nmt_pbt.tasks.translation.corpus.foresight import foreseen, unwritable_text
from nmt_pbt.tasks.translation.corpus.normalization import BREAKS, Normalization
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText, one_line
from nmt_pbt.tasks.translation.corpus.prepared import PreparedCorpus, check, corpus_of_run
from nmt_pbt.tasks.translation.corpus.subwords import UNK, Subwords
from nmt_pbt.tasks.translation.scoring.metrics import score_translations
from nmt_pbt.tasks.translation.scoring.significance import sentence_counts
from nmt_pbt.tasks.translation.settings.sections import CorpusSettings
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings

ODD = "½ cup … No. № 5 ™, ＦＵＬＬ　width, ﬁne\u00a0print \u202f! x² ① ㎏ 神 Å Ω"
TEXTS = [ODD, "A plain line of text, and one more.", "Ein schlichter Satz, größer."] * 3


def advised(texts: list[str], size: int, normalization: Normalization = "nfc") -> int:
    """Return a size that subwords of these texts can have: the one asked for, or that which the refusal names."""
    try:
        return Subwords.train(texts, size, 0, normalization).size
    except UsageError as error:
        refusal = str(error)
    found = re.fullmatch(r"corpus.vocabulary_size: .* the (?:largest|smallest) is ([\d,]+)", refusal)
    assert found is not None, refusal
    return int(found[1].replace(",", ""))


def trained(texts: list[str], normalization: Normalization = "nfc") -> Subwords:
    return Subwords.train(texts, advised(texts, 100, normalization), 0, normalization)


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return trained(TEXTS)


def test_what_goes_in_can_come_out(subwords):
    assert subwords.decode(subwords.encode([ODD])) == [ODD]
    folded = trained(TEXTS, "nmt_nfkc")
    assert folded.decode(folded.encode(["½ …"])) != ["½ …"]


def test_a_letter_is_the_same_however_it_was_typed():
    composed = ["é ế Ǖ 한국어 กำ नी ά", "café größer"] * 3
    subwords = trained(composed)
    for text in composed:
        apart = unicodedata.normalize("NFD", text)
        assert apart != text
        assert subwords.decode(subwords.encode([apart])) == [text]
        assert UNK not in subwords.encode([apart])[0]


def test_ends_of_lines_and_tabs_inside_a_line_are_spaces(subwords):
    assert subwords.decode(subwords.encode([f"A{BREAKS}plain\tline"])) == ["A plain line"]
    assert one_line(f" a{BREAKS} b\u00a0c \u3000d ") == "a b\u00a0c \u3000d"


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ábc가각ế½…\u00a0\u3000\u0301 \t"), max_size=20), min_size=1))
def test_tensorflow_text_normalises_as_sentencepiece_does(subwords, texts):
    ids = subwords.encode(texts)
    assert [found.tolist() for found in ids] == [subwords._processor.EncodeAsIds(text) for text in texts]


def test_equal_text_makes_equal_models_wherever_their_rule_was_written():
    models = {trained(TEXTS).model for _ in range(2)}
    assert len(models) == 1
    assert b"rule.tsv" not in models.pop()


def test_subwords_of_a_run_that_was_begun_before_come_out_as_they_were():
    corpus = load_corpus(CorpusSettings(), 0)
    text = (*corpus.train.source, *corpus.train.target)
    model = Subwords.train(text, 400, 0, "nmt_nfkc").model
    assert hashlib.sha256(model).hexdigest() == "cfe3887c30ea6d1ec121e8c3b2bb034d1446e4e9850418693f90c8fab30b9da7"
    new = Subwords.train(text, 400, 0)
    old = Subwords.load(model)
    for line in (*corpus.dev.source, *corpus.test.target):  # the toy corpus has nothing to fold
        assert new._processor.EncodeAsIds(line) == old._processor.EncodeAsIds(line)


def test_a_run_that_was_begun_before_there_was_a_choice_goes_on_with_its_own_subwords(tmp_path):
    chosen = ["corpus.normalization=nmt_nfkc", "corpus.train_pairs=300", "corpus.vocabulary_size=200"]
    begun = load_settings(None, chosen)
    corpus, subwords = check(begun.corpus, begun.seed)
    run = RunDirectory(tmp_path / "run")
    digest = PreparedCorpus(corpus, subwords, *[[]] * 6, too_long=0, max_length=begun.corpus.max_length).digest()
    with run.writing(begun, digest):
        pass
    tree = read_yaml(run.settings_file)
    del tree["corpus"]["normalization"]
    run.settings_file.write_text(dump_yaml(tree), encoding="utf-8")
    settings = run.read_settings(TranslationSettings)
    assert settings.corpus.normalization == "nmt_nfkc"
    run.check_same(settings)
    assert corpus_of_run(*check(settings.corpus, settings.seed), settings.corpus.max_length, digest) is not None
    again = load_settings(run.settings_file, ["name=again"])  # repeated under another name
    assert again.corpus.normalization == "nmt_nfkc"
    assert TranslationSettings().corpus.normalization == "nfc"


def corpus_of(train: list[str], dev: list[str], test: list[str]) -> Corpus:
    texts = [ParallelText(tuple(lines), tuple(lines)) for lines in (train, dev, test)]
    return Corpus("mine", "en", "de", *texts, dropped={})


def test_what_no_model_can_write_is_counted_and_named_before_training():
    corpus = corpus_of(TEXTS, ["Ein Satz, größer… ☃☃☃ cafe\u0301 now"], ["☃ und \u2009 ▁."])
    told = unwritable_text(corpus, trained(TEXTS)) or ""
    assert told.startswith("mine: the references of dev and test hold 7 characters of 41 that no model with these")
    assert told.endswith("write: ☃ (U+2603) 4 times, U+0301 1 time, U+2009 1 time, ▁ (U+2581) 1 time")
    folded = unwritable_text(corpus, trained(TEXTS, "nmt_nfkc")) or ""
    assert "… (U+2026) 1 time" in folded
    plain = corpus_of(TEXTS, ["Ein Satz."], ["A plain\ttext."])
    assert unwritable_text(plain, trained(TEXTS)) is None
    many = corpus_of(TEXTS, ["αβγδεζη"], ["A"])
    assert (unwritable_text(many, trained(TEXTS)) or "").endswith(", and 2 others")


def test_a_dev_split_of_short_lines_is_said_to_have_no_bleu():
    corpus = corpus_of(TEXTS, ["Ein Satz."], ["Ein Satz."])
    subwords = trained(TEXTS)
    (line,) = foreseen(corpus, subwords, "val_bleu", "13a")
    assert "no dev sentence has four words, so that val_bleu of a right translation is 0" in line
    assert list(foreseen(corpus, subwords, "val_bleu", "char")) == []
    assert list(foreseen(corpus, subwords, "val_chrf", "13a")) == []


SMALL_TEXTS = st.lists(st.text(st.sampled_from("ab一二é "), min_size=1, max_size=3), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(SMALL_TEXTS.filter(lambda texts: any(text.strip() for text in texts)), st.sampled_from([6, 9, 16, 400]))
def test_however_small_a_corpus_the_size_that_a_refusal_names_can_be_set_and_trains(texts, size):
    named = advised(texts, size)
    allowed = CorpusSettings(vocabulary_size=named)
    assert Subwords.train(texts, allowed.vocabulary_size, 0).size == named


@pytest.mark.parametrize("texts", [["▁", "▁"], ["▅"], [" "]])
def test_text_of_which_no_subword_can_be_made_is_refused_in_plain_words(texts):
    with pytest.raises(UsageError, match="subwords cannot be trained: the training text has no character") as error:
        Subwords.train(texts, 16, 0)
    assert "INTERNAL" not in str(error.value)


def test_lines_of_one_and_two_characters_train_a_model(tmp_path):
    from nmt_pbt.tasks.translation.corpus.prepared import prepare
    from nmt_pbt.tasks.translation.task import TranslationTask

    for split in ("train", "val", "test"):
        for language, lines in (("en", ["a", "b", "ab", "ba"]), ("de", ["b", "a", "ba", "ab"])):
            (tmp_path / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines * 5))
    chosen = ["corpus.vocabulary_size=8", "model.units=8", "model.embedding_units=8", "engine.threads=1"]
    settings = load_settings(None, chosen, {"corpus.name": str(tmp_path)})
    task = TranslationTask(settings, prepare(*check(settings.corpus, 0), settings.corpus))
    trainable = task.build({})
    trainable.reset(0)
    assert np.isfinite(trainable.train(20)["train_loss"])
    assert np.isfinite(trainable.evaluate().metrics["val_loss"])


def test_a_reference_is_the_same_however_its_letters_were_typed():
    composed = ["Die Männer hören schöne Übungen.", "Das Mädchen läuft über die Brücke."]
    typed = [unicodedata.normalize("NFD", line) for line in composed]
    scores = score_translations(composed, typed)
    assert scores.bleu == pytest.approx(100.0)
    assert scores.chrf == pytest.approx(100.0)
    assert score_translations(composed, composed) == scores
    counts, again = (sentence_counts(composed, references) for references in (composed, typed))
    assert all((counts[name] == again[name]).all() for name in counts)
