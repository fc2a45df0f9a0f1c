"""Event files are what TensorBoard reads back: curves, schedules, and the values and scores of its HParams plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report.event_files import write_event_files
from nmt_pbt.report.run import Run, load_run


@pytest.fixture(scope="module")
def run(one_path) -> Run:
    return load_run(one_path)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory) -> Path:
    return write_event_files(run, tmp_path_factory.mktemp("tensorboard") / "events")


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return events


def plugin_data(events: EventAccumulator, tag: str) -> bytes:
    return events.SummaryMetadata(tag).plugin_data.content


def test_every_trial_member_and_winner_is_a_run(run, folder):
    found = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("events*")}
    assert {f"random/seed-0/trial-{number:04d}" for number in range(6)} <= found
    assert {f"pbt/seed-0/member-{member}" for member in range(6)} <= found
    assert {name for name in found if name.endswith("winner")} == {"pbt/seed-0/winner"}
    assert len(found) == 1 + 3 * 6 + 6 + 1


def test_curves_are_those_of_the_journal(run, folder):
    scalars = read(folder / "random/seed-0/trial-0002").Scalars("val_bleu")
    mine = run.evaluations.query("method == 'random' and trial == '0002'")
    assert [event.step for event in scalars] == list(mine["trained_pairs"])
    assert [event.value for event in scalars] == pytest.approx(list(mine["score"]))


def test_the_winners_run_is_its_lineage_with_its_schedule_and_its_test_scores(run, folder):
    events, chain = read(folder / "pbt/seed-0/winner"), run.ancestry.chain("pbt", 0)
    rates = events.Scalars("hyperparameters/learning_rate")
    assert [event.value for event in rates] == pytest.approx(list(chain["learning_rate"]))
    assert [event.step for event in rates] == list(chain["trained_pairs"])
    score = run.tests.query("method == 'pbt'")["test_bleu"].iloc[0]
    assert [event.value for event in events.Scalars("test/bleu")] == pytest.approx([score])


def test_the_hparams_plugin_finds_ranges_values_metrics_and_outcomes(run, folder):
    experiment = metadata.parse_experiment_plugin_data(plugin_data(read(folder), metadata.EXPERIMENT_TAG))
    infos = {info.name: info for info in experiment.hparam_infos}
    assert list(infos) == ["method", "seed", "winner", *run.space]
    assert infos["dropout"].domain_interval.max_value == run.space["dropout"].max
    assert [value.number_value for value in infos["batch_size"].domain_discrete.values] == [16, 32, 64, 128]
    assert [info.name.tag for info in experiment.metric_infos] == ["val_bleu", "test/bleu", "test/chrf"]
    events = read(folder / "random/seed-0/trial-0001")
    start = metadata.parse_session_start_info_plugin_data(plugin_data(events, metadata.SESSION_START_INFO_TAG))
    trial = run.trials.query("method == 'random' and trial == '0001'").iloc[0]
    assert start.hparams["dropout"].number_value == trial["dropout"]
    assert start.hparams["method"].string_value == "random"
    end = metadata.parse_session_end_info_plugin_data(plugin_data(events, metadata.SESSION_END_INFO_TAG))
    assert trial["status"] == "failed"
    assert end.status == 2  # STATUS_FAILURE


def test_an_export_replaces_an_earlier_one_and_nothing_else(run, folder, tmp_path):
    again = write_event_files(run, folder)
    stale = again / "pbt" / "seed-9" / "old" / "events.out.tfevents.0.nmt-pbt"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    write_event_files(run, folder)
    assert not stale.exists()
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        write_event_files(run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UsageError, match="is a file"):
        write_event_files(run, tmp_path / "notes.txt")


def test_event_files_need_no_tensorflow(one_path, tmp_path):
    code = (
        "import sys; from nmt_pbt.report.run import load_run;"
        "from nmt_pbt.report.event_files import write_event_files;"
        "write_event_files(load_run(sys.argv[1]), __import__('pathlib').Path(sys.argv[2]));"
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(one_path), str(tmp_path / "events")], check=True)


def test_exports_of_other_runs_in_folders_below_are_left_alone(run, tmp_path):
    write_event_files(run, tmp_path / "events" / "RUN1")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"holds exports of other runs \(RUN1\)"):
        write_event_files(run, tmp_path / "events")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
