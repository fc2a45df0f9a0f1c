"""English-Chinese, from a corpus to a report: the search learns by a BLEU that sees Chinese, and figures write it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import chain, islice

import pytest

from nmt_pbt.base.randomness import generator
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import Evaluated, Tested
from nmt_pbt.tasks.translation.corpus.grammar_file import read_grammar
from tests.corpus.english_chinese import GRAMMAR, write_english_chinese
from tests.report.made_font import write_font

OPTIONS = (
    "corpus.target_language=zh corpus.vocabulary_size=500 model.units=96 model.embedding_units=64 training.epochs=8 "
    "search.population=2 search.interval=2 search.methods=[pbt] engine.threads=1"
)
SPACE = "search.space={learning_rate: {min: 0.004, max: 0.008, scale: log}, dropout: {min: 0.05, max: 0.2}}"


def test_the_grammar_writes_chinese_as_chinese_is_written():
    pairs = list(islice(read_grammar(GRAMMAR).pairs(generator(0, "look")), 3000))
    words = {word for english, _ in pairs for word in re.findall(r"\w+", english.lower())}
    assert 150 <= len(words) <= 300
    assert not any(" " in chinese for _, chinese in pairs)
    assert all(re.fullmatch(r"[\u4e00-\u9fff，。？]+", chinese) for _, chinese in pairs)
    assert all(re.fullmatch(r"[A-Z][A-Za-z ,]+[.?]", english) for english, _ in pairs)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "nmt_pbt", *arguments]
    return subprocess.run(
        program, capture_output=True, text=True, check=True, env={**os.environ, **environment}, encoding="utf-8"
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_search_for_chinese_learns_by_val_bleu_and_is_reported_with_chinese_in_its_figures(tmp_path):
    corpus, run = write_english_chinese(tmp_path / "corpus", train=2000, val=150, test=150), tmp_path / "run"
    lines = "".join((corpus / f"{split}.zh").read_text(encoding="utf-8") for split in ("train", "val", "test"))
    (tmp_path / "data" / "fonts").mkdir(parents=True)
    write_font(tmp_path / "data" / "fonts" / "han.ttf", "Made Han", sorted(set(lines) - {"\n"}))
    settings = list(chain.from_iterable(("--set", text) for text in (*OPTIONS.split(), SPACE)))
    told = command(
        "compare", "--corpus", str(corpus), "--out", str(run), *settings, XDG_DATA_HOME=str(tmp_path / "data")
    ).stderr
    assert not re.search("Glyph|no font|cannot be found|can write", told)

    records = read_journal(run / "journal.jsonl")
    scores = [record.metrics["val_bleu"] for record in records if isinstance(record, Evaluated)]
    assert max(scores) > max(scores[:2]) + 20  # 8 epochs, and 2
    assert max(scores) > 70
    (tested,) = (record for record in records if isinstance(record, Tested))
    assert tested.test["bleu"] > 70
    assert "tok:zh" in tested.signatures["bleu"]
    assert "tok:zh" in (run / "report" / "index.html").read_text(encoding="utf-8")

    figures = list((run / "report" / "figures").glob("attention_*.svg"))
    assert figures
    for figure in figures:
        assert 'id="MadeHan' in figure.read_text(encoding="utf-8")

    evaluated = command("evaluate", str(run)).stdout.splitlines()[1:]
    assert [line.split()[0] for line in evaluated] == ["BLEU", "chrF", "TER"]
    assert float(evaluated[0].split()[1]) == pytest.approx(tested.test["bleu"], abs=0.005)
