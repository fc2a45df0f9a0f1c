"""Tables of the report, and their Markdown and LaTeX."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from nmt_pbt.report import tables
from nmt_pbt.report.comparisons import comparisons
from nmt_pbt.report.export import frames
from nmt_pbt.report.labels import duration, signed
from nmt_pbt.report.methods import method_info
from nmt_pbt.report.run import load_run
from nmt_pbt.report.statistics import frame_of, results_of
from nmt_pbt.report.tables import Cell, Table
from nmt_pbt.run.records import OtherTest, Tested


@pytest.fixture(scope="module")
def one(one_path):
    return load_run(one_path)


@pytest.fixture(scope="module")
def three(three_path):
    return load_run(three_path)


def test_every_row_has_a_cell_for_every_heading(one, three):
    for run in (one, three):
        found = results_of(run)
        for table in (
            tables.summary(found),
            tables.winners(run),
            tables.trials(run),
            *tables.comparisons(found),
            *tables.other_comparisons(found),
        ):
            assert table.rows
            assert {len(row) for row in table.rows} == {len(table.headings)}, table.name
            for kept in (table.methods, table.seeds):
                assert len(kept) in (0, len(table.rows))


@pytest.fixture
def of_several_sets(three):
    def scored(record):
        if not isinstance(record, Tested):
            return record
        others = [
            OtherTest(test_set=name, test={"bleu": record.test["bleu"] - less, "chrf": 50.0})
            for name, less in (("test2017", 3.0), ("<coco>", 6.0))
        ]
        return record.model_copy(update={"test_set": "test2016", "others": others})

    return replace(three, records=[scored(record) for record in three.records])


def test_several_test_sets_have_a_row_each_in_a_table_of_their_own(three, of_several_sets):
    assert tables.test_sets(three) == []
    assert three.test_sets.empty
    assert "test_sets" not in frames(three)
    bleu, chrf = tables.test_sets(of_several_sets)
    assert [row[0].text for row in bleu.rows] == ["test2016", "test2017", "<coco>"]
    assert bleu.headings == ["test set", *(method_info(name).label for name in dict.fromkeys(three.tests["method"]))]
    means = three.tests.groupby("method", sort=False)["test_bleu"].mean()
    for less, row in zip((0.0, 3.0, 6.0), bleu.rows, strict=True):
        assert [cell.sort for cell in row[1:]] == pytest.approx([mean - less for mean in means])
    assert {cell.text for row in chrf.rows[1:] for cell in row[1:]} == {"50.0"}
    assert "over searches" in bleu.caption
    assert len(frames(of_several_sets)["test_sets"]) == 3 * len(three.tests)
    assert "Test is test2016" in tables.summary(results_of(of_several_sets)).caption


def test_comparisons_are_about_the_first_test_set_alone(three, of_several_sets):
    for metric in ("bleu", "chrf"):
        pd.testing.assert_frame_equal(*(frame_of(comparisons(run, metric)) for run in (three, of_several_sets)))


def test_one_search_each_leaves_out_what_is_about_searches(one, three):
    single, several = (tables.comparisons(results_of(run))[0].headings for run in (one, three))
    assert "p over test sentences" in single
    assert not any("searches" in heading for heading in single)
    assert "p over searches" in several


def test_the_results_are_those_of_the_journal(one):
    table = tables.summary(results_of(one))
    row = dict(zip(table.headings, (cell.text for cell in table.rows[0]), strict=True))
    tested = one.tests.iloc[0]
    assert row["method"] == "PBT"
    assert row["test BLEU"] == f"{tested['test_bleu']:.1f}"
    assert row["sentence pairs"] == "480,000"
    assert row["trials"] == "48 (1 failed)"


def test_a_difference_that_rounds_to_zero_has_no_sign(one):
    found = results_of(one)
    told = {"sentences_low": -0.04, "sentences_high": 0.04, "p_sentences": 0.5}
    pairs = [
        replace(pair, difference=difference, **told)
        for pair, difference in zip(found.against("bleu"), (-0.04, 0.04, -1.26), strict=True)
    ]
    rows = tables.comparisons(replace(found, comparisons={"bleu": pairs}))[0].rows
    assert [row[1].text for row in rows] == ["0.0", "0.0", "−1.3"]
    assert rows[0][2].text == "0.0 to 0.0"
    assert (signed(-0.0004, "val_loss"), signed(0.0123, "val_loss")) == ("0.000", "+0.012")


def test_why_a_trial_failed_is_told(one):
    texts = [cell.text for row in tables.trials(one).rows for cell in row]
    assert "failed: nan: the loss is <not> a number" in texts


TABLE = Table("t", "T", "", ["method", "score_1"], [[Cell("a|b & 5%", "a"), Cell("−1.0", -1.0)]], [], [])


def test_markdown_escapes_what_would_break_it():
    assert tables.markdown(TABLE) == "| method | score_1 |\n| --- | ---: |\n| a\\|b & 5% | −1.0 |\n"


def test_latex_escapes_what_would_break_it():
    assert tables.latex(TABLE) == (
        "\\begin{tabular}{lr}\n\\toprule\nmethod & score\\_1 \\\\\n\\midrule\na|b \\& 5\\% & $-$1.0 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (125, "2 min"), (7199, "2 h 00 min"), (11100, "3 h 05 min"), (float("nan"), "–")],
)
def test_durations_are_told_in_the_unit_that_suits(seconds, text):
    assert duration(seconds) == text


def test_the_table_of_results_says_which_intervals_it_has(one_path, three_path):
    one, three = load_run(one_path), load_run(three_path)
    assert "95% intervals by Student's t" in tables.summary(results_of(three)).caption
    assert "intervals" not in tables.summary(results_of(one)).caption
    found = results_of(three)
    many = [replace(row, searches=6, tested=6) for row in found.summaries]
    assert "by the studentised bootstrap" in tables.summary(replace(found, summaries=many)).caption
