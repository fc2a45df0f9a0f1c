"""Several runs in one report: every search under its run's number, and nothing compared that does not compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report.comparisons import comparisons, reference_method
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.page import default_folder, write_report
from nmt_pbt.report.run import load_run
from nmt_pbt.report.several import load_runs
from nmt_pbt.report.statistics import frame_of
from nmt_pbt.space.settings import ChoiceDomain, NumberDomain
from tests.report.fake_run import write_fake_run


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("several")
    small = write_fake_run(folder / "small", ("random", "pbt"), population=3, epochs=2.0, sentences=80)
    large = write_fake_run(folder / "large", ("pbt",), population=4, epochs=3.0, sentences=80)
    return [small, large]


def test_one_run_is_read_as_it_is(paths):
    assert load_runs(paths[:1]).trials.equals(load_run(paths[0]).trials)


def test_tables_hold_every_search_under_its_runs_number(paths):
    both = load_runs(paths)
    names = ["random (1: small)", "pbt (1: small)", "pbt (2: large)"]
    assert list(both.searches["method"]) == names
    assert both.name == "1: small, 2: large"
    for path, mine in zip(paths, (names[:2], names[2:]), strict=True):
        alone = load_run(path)
        for name in ("trials", "evaluations", "lineage", "winners", "tests", "translations"):
            whole = getattr(both, name)
            part = whole[whole["method"].isin(mine)]
            assert len(part) == len(getattr(alone, name)) > 0
        scores = both.winners[both.winners["method"].isin(mine)]["score"]
        assert list(scores) == list(alone.winners["score"])
    assert list(both.counts) == [(name, 0) for name in names]


def test_methods_of_different_runs_are_compared_on_the_same_sentences(paths):
    both = load_runs(paths)
    assert reference_method(both) == "pbt (1: small)"
    table = frame_of(comparisons(both, "bleu"))
    assert len(table) == 3
    assert table["p_sentences"].notna().all()


def test_one_method_looks_related_but_not_alike_in_different_runs():
    styles = [method_info(f"pbt ({number}: run)") for number in (1, 2, 3, 4)]
    assert len({style.color for style in styles}) == len({style.line for style in styles}) == 4
    assert {style.marker for style in styles} == {method_info("pbt").marker}
    assert [style.label for style in styles] == ["PBT (1)", "PBT (2)", "PBT (3)", "PBT (4)"]


def test_the_page_of_several_runs_lies_beside_the_first_and_tells_of_each(paths, tmp_path, no_pictures):
    page = write_report(paths)
    assert page == paths[0].parent / "report-small-large" / "index.html" == default_folder(paths) / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "1: small, 2: large" in text
    assert "at unequal budgets" in text
    assert "Run 1: small" in text
    assert "Run 2: large" in text
    assert "nmt-pbt report RUN1 RUN2" in text
    assert "nmt-pbt train --schedule RUN2" in text
    assert not (paths[0] / "report").exists()
    before = page.read_bytes()
    assert write_report(paths, out=tmp_path / "elsewhere").read_bytes() == before
    assert write_report(paths).read_bytes() == before


def test_a_folder_with_something_else_in_it_is_not_written_to(paths, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds files but no report"):
        write_report(paths, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file"):
        write_report(paths, out=tmp_path / "thesis.tex")


def test_ranges_are_joined_to_hold_every_runs_range(paths, tmp_path):
    wider = changed(paths[1], tmp_path / "wider", "settings.yaml", "max: 0.6", "max: 0.8")
    changed(wider, wider, "settings.yaml", "- 128", "- 256")
    space = load_runs([paths[0], wider]).space
    assert space["dropout"] == NumberDomain(min=0.0, max=0.8)
    assert space["batch_size"] == ChoiceDomain(choices=[16, 32, 64, 128, 256])


def changed(run: Path, copy: Path, file: str, old: str, new: str) -> Path:
    import shutil

    if copy != run:
        shutil.copytree(run, copy)
    text = (copy / file).read_text(encoding="utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new), encoding="utf-8")
    return copy


def test_runs_that_do_not_compare_are_refused_saying_why(paths, tmp_path):
    first, second = paths
    with pytest.raises(UsageError, match="named twice"):
        load_runs([first, second, first / ".." / "small"])
    other = changed(second, tmp_path / "corpus", "journal.jsonl", "1" * 64, "2" * 64)
    with pytest.raises(UsageError, match="not searched on the corpus of"):
        load_runs([first, other])
    other = changed(second, tmp_path / "objective", "journal.jsonl", '"objective":"val_bleu"', '"objective":"val_chrf"')
    with pytest.raises(UsageError, match=r"objective val_chrf, but val_bleu in .*small"):
        load_runs([first, other])
    other = changed(second, tmp_path / "signature", "journal.jsonl", "tok:13a", "tok:char")
    with pytest.raises(UsageError, match="tok:char"):
        load_runs([first, other])


def test_a_run_killed_before_its_journal_is_refused(paths, tmp_path):
    empty = changed(paths[0], tmp_path / "empty", "environment.json", json.dumps("commit"), json.dumps("commit"))
    (empty / "journal.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="journal is empty"):
        load_runs([paths[0], empty])
