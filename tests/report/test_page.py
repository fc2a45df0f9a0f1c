"""The page: complete, the same each time, safe against any text, and never half written."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from nmt_pbt.base.errors import JournalError, UsageError
from nmt_pbt.report import page
from nmt_pbt.report.figures.style import Rendered
from nmt_pbt.report.folder import MANIFEST
from nmt_pbt.report.page import agreement, write_report
from nmt_pbt.report.run import load_run
from tests.report.fake_run import write_fake_run
from tests.timing import cpu_seconds, least_seconds

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.drawings: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        elif tag != "link":
            self.loads += [found[name] for name in ("src", "srcset", "href", "xlink:href", "data") if name in found]
        if found.get("role") == "img":
            self.drawings.append(found["aria-label"])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


@pytest.fixture(scope="module")
def report(one_path) -> Path:
    return write_report(one_path)


@pytest.fixture(scope="module")
def text(report) -> str:
    return report.read_text(encoding="utf-8")


def test_the_page_is_well_formed_with_every_id_once_and_every_link_leading_somewhere(report, text):
    parsed = Page(text)
    assert parsed.open == []
    assert len(set(parsed.ids)) == len(parsed.ids)
    for link in parsed.links:
        assert link.removeprefix("#") in parsed.ids if link.startswith("#") else (report.parent / link).is_file()


def test_the_page_needs_no_network_and_no_other_file(text):
    assert all(load.startswith(("#", "data:image/png;base64,")) for load in Page(text).loads)
    assert "default-src 'none'" in text
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_script_is_the_one_the_page_allows(text):
    import base64
    import hashlib

    script = text[text.index("<script>") + len("<script>") : text.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    assert f"script-src 'sha256-{digest}'" in text


def test_every_figure_is_on_the_page_and_in_files(report, text):
    files = sorted(file.stem for file in (report.parent / "figures").glob("*.svg"))
    pictures = sorted(file.stem for file in (report.parent / "figures").glob("*.png"))
    assert pictures == sorted([*files, *(f"{name}-dark" for name in files)])
    parsed = Page(text)
    assert len(parsed.drawings) == len(files) >= 15
    assert all(parsed.drawings)
    assert set(files) <= set(parsed.ids)


def test_the_page_tells_results_signatures_translations_settings_and_how_to_repeat(text, one_path):
    words = " ".join(" ".join(Page(text).words).split())
    run = load_run(one_path)
    for row in run.tests.to_dict("records"):
        assert f"{row['test_bleu']:.1f}" in words
        assert row["signature_bleu"] in words
    for sample in run.samples:
        assert sample.reference in words
    assert "nmt-pbt compare --config RUN/settings.yaml --out RUN-again" in words
    assert "0.0003 to 0.01 on a log scale" in words
    assert "packages sacrebleu" in words
    assert "1 of 48 trials of PBT failed" in words


def test_tables_are_there_for_other_tools(report, one_path):
    trials = pd.read_csv(report.parent / "trials.csv")
    assert len(trials) == len(load_run(one_path).trials)
    for name in ("searches", "evaluations", "best_so_far", "lineage", "winners", "tests", "time_spent", "summary"):
        assert (report.parent / f"{name}.csv").is_file()
    assert "| PBT |" in (report.parent / "summary.md").read_text(encoding="utf-8")
    assert "\\toprule" in (report.parent / "summary.tex").read_text(encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.alone
def test_the_same_run_gives_the_same_bytes_anywhere_and_removes_what_is_stale(report, one_path, tmp_path):
    before = contents(report.parent)
    copy = tmp_path / "elsewhere"
    shutil.copytree(one_path, copy, ignore=shutil.ignore_patterns("report"))
    (copy / "report" / "figures").mkdir(parents=True)
    stale = ["old.csv", "figures/old.png", "figures/old.svg"]
    for name in stale:
        (copy / "report" / name).write_text("old", encoding="utf-8")
    (copy / "report" / MANIFEST).write_text(json.dumps({"files": stale}), encoding="utf-8")
    (copy / "report" / "notes.txt").write_text("mine", encoding="utf-8")
    assert least_seconds(lambda: cpu_seconds(lambda: write_report(copy)), 15) < 15
    after = contents(copy / "report")
    assert after.pop("notes.txt") == b"mine"
    assert after == before


def test_all_text_is_escaped(tmp_path, no_pictures):
    path = write_fake_run(tmp_path / "nasty", ("pbt", "random"), population=3, epochs=2.0, sentences=80)
    nasty = "</pre></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    for name in ("pbt-seed0.txt", "random-seed0.txt"):
        (path / "translations" / name).write_text(f"{nasty}\n" * 80, encoding="utf-8")
        (path / "translations" / name).with_suffix(".counts.csv").unlink()
    sample = [{"line": 3, "source": nasty, "reference": nasty}]
    (path / "translations" / "sample.json").write_text(json.dumps(sample), encoding="utf-8")
    (path / "environment.json").write_text(json.dumps({nasty: {nasty: nasty}}), encoding="utf-8")
    settings = (path / "settings.yaml").read_text(encoding="utf-8").replace("name: nasty", f"name: {json.dumps(nasty)}")
    settings = settings.replace("source_language: en", f"source_language: {json.dumps(nasty)}")
    (path / "settings.yaml").write_text(settings, encoding="utf-8")
    journal = (path / "journal.jsonl").read_text(encoding="utf-8")
    journal = journal.replace('"reason":"nan: the loss is <not> a number"', f'"reason":{json.dumps(nasty)}').replace(
        '"0000"', json.dumps(nasty)
    )
    journal = re.sub(r'("signatures":\{"bleu":)"[^"]*"', lambda match: match[1] + json.dumps(nasty), journal)
    (path / "journal.jsonl").write_text(journal, encoding="utf-8")
    text = write_report(path).read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.open == []
    assert text.count("<script") == 1
    assert "<img" not in text
    assert "".join(parsed.words).count("alert(2)") >= 6


def test_a_report_that_fails_leaves_the_former_one_as_it_was(report, one_path, monkeypatch):
    before = contents(report.parent)
    drawn = []

    def fail_late(*arguments, **named):
        drawn.append(arguments)
        if len(drawn) > 2:
            raise OSError("no space left")
        return Rendered("<svg></svg>", b"other")

    monkeypatch.setattr(page, "render", fail_late)
    with pytest.raises(OSError, match="no space"):
        write_report(one_path)
    assert contents(report.parent) == before


def test_a_run_under_way_and_a_single_training_have_a_page_too(tmp_path, quick_figures):
    under_way = write_fake_run(tmp_path / "partial", population=3, epochs=2.0, tested=False)
    assert "not yet tested" in write_report(under_way).read_text(encoding="utf-8")
    single = write_fake_run(tmp_path / "train", ("manual",), population=2, epochs=2.0, sentences=80)
    text = write_report(single).read_text(encoding="utf-8")
    assert "nmt-pbt compare --config RUN/settings.yaml" in text
    assert "against each other method" not in text
    assert "What the population did" not in text


def test_a_run_of_another_task_that_keeps_no_outputs_is_drawn(tmp_path, quick_figures):
    path = write_fake_run(tmp_path / "other", ("pbt", "random"), population=3, epochs=2.0, sentences=80)
    shutil.rmtree(path / "translations")
    records = [json.loads(line) for line in (path / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    for record in records:
        if record["event"] == "search":
            record["objective"] = "val_accuracy"
        elif record["event"] == "evaluated":
            score = record["metrics"]["val_bleu"]
            record["metrics"] = {"val_accuracy": None if score is None else score / 100}
        elif record["event"] == "tested":
            record.update(outputs=None, signatures={}, dev={"val_accuracy": 0.9123}, test={"accuracy": 0.9012})
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (path / "journal.jsonl").write_text(lines, encoding="utf-8")
    text = write_report(path).read_text(encoding="utf-8")
    assert "PBT 0.901" in text
    for word in ("BLEU", "chrF", 'id="attention"', 'id="translations"'):
        assert word not in text


def test_what_is_not_a_run_is_refused_in_one_line(tmp_path):
    with pytest.raises(UsageError, match="no such run directory"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"not a run, it has no journal\.jsonl"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damage_is_refused_by_its_file_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "render", lambda *arguments, **named: pytest.fail("drew a figure"))
    path = write_fake_run(tmp_path / "run", ("pbt",), population=2, epochs=2.0, sentences=80)

    def refused(file: str, content: str, message: str, kind: type[Exception] = UsageError) -> None:
        target = path / file
        before = target.read_bytes()
        target.write_text(content, encoding="utf-8")
        with pytest.raises(kind, match=message):
            write_report(path)
        target.write_bytes(before)

    journal = (path / "journal.jsonl").read_text(encoding="utf-8")
    refused("journal.jsonl", journal.replace("evaluated", "evalated", 1), "line 4", JournalError)
    refused("journal.jsonl", journal.splitlines()[0] + "\n", "no model has been evaluated yet")
    refused("journal.jsonl", journal.replace("translations/pbt", "../pbt"), "outside the run")
    refused("settings.yaml", "- a", "settings")
    refused("settings.yaml", "search: {space: {dropout: {min: 1, max: 0}}}", r"search\.space\.dropout is damaged")
    refused("environment.json", "{", "not valid JSON")
    refused("translations/sample.json", '[{"line": 999, "source": "", "reference": ""}]', "line 999 is not in")
    refused("translations/sample.json", "[1]", "not a list of line, source and reference")
    counts = (path / "translations" / "pbt-seed0.counts.csv").read_text(encoding="utf-8").splitlines()
    refused("translations/pbt-seed0.counts.csv", "\n".join(counts[:40]), "but the journal says")
    (path / "translations" / "pbt-seed0.txt").unlink()
    with pytest.raises(UsageError, match=r"pbt-seed0\.txt: the journal names this file, but it is missing"):
        write_report(path)
    assert not (path / "report").exists()


def test_words_that_agree_with_the_reference_are_told_from_those_that_do_not():
    assert agreement("the red dog runs", "the dog runs fast") == [("the", True), ("red", False), ("dog runs", True)]
    assert agreement("", "a b") == []
    assert agreement("x y", "a b") == [("x y", False)]
    assert agreement("a b", "a b") == [("a b", True)]


def test_translations_without_spaces_are_compared_character_by_character():
    assert agreement("那个老师睡觉", "那位老师睡觉", "") == [("那", True), ("个", False), ("老师睡觉", True)]
