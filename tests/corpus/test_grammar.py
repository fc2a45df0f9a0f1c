from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.randomness import generator
from nmt_pbt.tasks.translation.corpus.grammar_file import read_grammar

SMALL = """
languages: [en, de]
start: sentence
length: {least: 2, most: 4}
finish:
  en: [['a (?=[aeiou])', 'an ']]
paradigms:
  fixed: {columns: word | Wort, en: '{word}', de: '{Wort}'}
  noun:
    columns: word | gender Singular Plural=Singular
    en: '{word}'
    de: {sg: '{Singular}', pl: {nom: '{Plural}', acc: '{Plural}'}}
  article: {columns: word | -, en: '{word}', de: {der: ein, die: eine}}
words:
  a: {paradigm: article, list: 'a | -'}
  animal:
    paradigm: noun
    list: |
      dog | der Hund
      owl | die Eule
  verb:
    list: |
      looks_up | schaut_auf
groups:
  thing: {animal: 1}
phrases:
  the <what>:
    kinds: [thing]
    takes: case
    alternatives:
      - weight: 2
        parts: {d: a, n: <what>}
        features: {gender: n.gender, kind: short}
        en: '{d} {n}'
        de: {plain: '{d n.gender} {n sg case}', denied: 'k {d n.gender} {n sg case}'}
  sentence:
    alternatives:
      - parts: {s: the thing, v: verb}
        en: '{s nom} {v} .'
        de: '{v} {s:denied nom} {s.n sg} .'
"""


def sample(tmp_path: Path, text: str, count: int = 20) -> list[tuple[str, str]]:
    path = tmp_path / "grammar.yaml"
    path.write_text(text)
    return list(islice(read_grammar(path).pairs(generator(0, "test")), count))


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def test_a_derivation_is_written_in_both_languages(tmp_path: Path) -> None:
    assert set(sample(tmp_path, changed("most: 4", "most: 9"))) == {
        ("A dog looks up.", "Schaut auf k ein Hund Hund."),
        ("An owl looks up.", "Schaut auf k eine Eule Eule."),
    }


def test_the_same_generator_gives_the_same_pairs(tmp_path: Path) -> None:
    text = changed("most: 4", "most: 9")
    assert sample(tmp_path, text) == sample(tmp_path, text)


def test_common_words_stand_first_in_their_list(tmp_path: Path) -> None:
    pairs = sample(tmp_path, changed("most: 4", "most: 9"), 3000)
    share = sum("dog" in source for source, _ in pairs) / len(pairs)
    assert share == pytest.approx((1 / 4) / (1 / 4 + 1 / 5), abs=0.03)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    most: 4", "most: 4", "10,000 sentences in a row are not of 2 to 4 words"),
        ("{v} .'\n", "{w} .'\n", "phrase 'sentence' asks for w, and there is no such part"),
        ("{v} {s:denied", "{v} {s:negated", "phrase 'the thing' has no variant 'negated'"),
        ("{s.n sg}", "{s.n.x sg}", "asks for s.n.x, and there is no such part"),
        ("{s.n sg}", "{s.n s.size}", "asks for s.size, and there is no such feature"),
        ("{s.n sg}", "{s.n dual}", "the keys 'dual' lead to no form"),
        ("{s.n sg}", "{s.n pl}", "the keys 'pl' lead to no form; a word there has nom, acc"),
        ("'{s nom} {v} .'", "'{s nom} {v} .'", "10,000"),
        ("{s:denied nom}", "{s:denied}", "phrase 'the thing' is given 0 keys"),
    ],
)
def test_a_faulty_template_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SMALL.replace(old.strip(), new) if "10,000" in message else changed(old, new).replace("most: 4", "most: 9")
    with pytest.raises(UsageError, match=re.escape(message)):
        sample(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{s: the thing,",
            "{s: the thong,",
            "phrase 'sentence': no such symbol 'the thong'; did you mean 'the thing'?",
        ),
        ("start: sentence", "start: sentense", "start: no such symbol 'sentense'"),
        ("thing: {animal: 1}", "thing: {animals: 1}", "group 'thing': no such symbol 'animals'"),
        ("paradigm: noun", "paradigm: nouns", "words 'animal': no such paradigm 'nouns'; did you mean 'noun'?"),
        ("dog | der Hund", "dog der Hund", "'dog der Hund': expected two sides"),
        ("dog | der Hund", "dog | der", "'dog | der': no column for Singular"),
        ("dog | der Hund", "dog | der Hund Hunde Hunden", "more columns than gender Singular Plural=Singular"),
        ("thing: {animal: 1}", "thing: {animal: 0}", "not a grammar"),
        ("thing: {animal: 1}", "thing: {}", "not a grammar"),
        ("languages: [en, de]", "languages: [en]", "not a grammar"),
        ("columns: word | gender", "column: word | gender", "not a grammar"),
        ("finish:\n  en: [['a (", "finish:\n  en: [['a ((", "not a grammar"),
        ("groups:", "groups: [", "cannot be read as a grammar"),
        ("start: sentence", "start: !!python/name:os.system", "cannot be read as a grammar"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        sample(tmp_path, changed(old, new))
    assert "\n" not in str(error.value)
    assert "grammar.yaml" in str(error.value)


def test_a_grammar_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_grammar(tmp_path / "none.yaml")
