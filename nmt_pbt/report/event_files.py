"""A run as TensorBoard event files, with its HParams plugin: `tensorboard --logdir FOLDER`. Needs no TensorFlow.

One TensorBoard run is one model that was trained through: a trial of a method with constant values, a member of a
population from its first trial to its last, or the lineage that won. Steps are the sentence pairs that the model's
weights were trained on. A member's curve jumps where it adopted another's state; `hyperparameters/...` are its values
over training.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import replace_file
from nmt_pbt.report.labels import metric_label, value_label
from nmt_pbt.report.run import Run
from nmt_pbt.run.records import Assigned, Evaluated, SearchStarted
from nmt_pbt.space.settings import ChoiceDomain, Domain

_FILE = "events.out.tfevents.0.nmt-pbt"
_METHOD, _SEED, _WINNER = "method", "seed", "winner"


@dataclass(frozen=True)
class _Session:
    """One model that was trained through.

    Attributes:
        name: Its folder.
        method: Whose it is.
        seed: Of the search.
        winner: Whether it led to the search's winner.
        points: Evaluations with the trial each belongs to.
        test: Scores on the test split, by metric; empty for all but winners.
    """

    name: str
    method: str
    seed: int
    winner: bool
    points: list[tuple[Evaluated, Assigned]]
    test: Mapping[str, float]

    @property
    def failed(self) -> bool:
        """Whether its last evaluation failed."""
        return self.points[-1][0].failure is not None


def write_event_files(run: Run, folder: Path) -> Path:
    """Write a run for TensorBoard.

    Args:
        run: The run.
        folder: Where; an earlier export there is replaced.

    Returns:
        `folder`.

    Raises:
        UsageError: The folder is a file or holds anything but an earlier export.
    """
    earlier = _earlier(folder)
    sessions = list(_sessions(run))
    made = {folder / _FILE: _encoded([(0.0, 0, _experiment(run, sessions))])}
    for session in sessions:
        made[folder / session.name / _FILE] = _encoded(_events(session))
    for path, data in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    for path in earlier - made.keys():
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    return folder


def _earlier(folder: Path) -> set[Path]:
    """Return the files of an earlier export."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder to write event files to")
    files = {path for path in folder.rglob("*") if not path.is_dir()}
    for path in sorted(files):
        if path.name != _FILE:
            raise UsageError(f"{folder}: holds {path.relative_to(folder)}, which is no export of a run; name another")
    if files and folder / _FILE not in files:
        inside = min(files).relative_to(folder).parts[0]
        raise UsageError(f"{folder}: holds exports of other runs ({inside}); name a folder of its own for this one")
    return files


def _sessions(run: Run) -> Iterator[_Session]:
    given = {(r.method, r.seed, r.trial): r for r in run.records if isinstance(r, Assigned)}
    points: dict[tuple[str, int], dict[str, list[tuple[Evaluated, Assigned]]]] = {}
    for record in run.records:
        if isinstance(record, SearchStarted):
            points.setdefault((record.method, record.seed), {})
        if isinstance(record, Evaluated):
            trial = given[record.method, record.seed, record.trial]
            points[record.method, record.seed].setdefault(trial.model, []).append((record, trial))
    tested = {(record.method, record.seed): record.test for record in run.tested}
    won = {(str(row["method"]), int(row["seed"])): row for row in run.winners.to_dict("records")}
    for (method, seed), models in points.items():
        place, winner = f"{method}/seed-{seed}", won.get((method, seed))
        for name, found in models.items():
            constant = found[0][1].member is None
            best = constant and winner is not None and winner["trial"] == found[0][1].trial
            test = tested.get((method, seed), {}) if best else {}
            yield _Session(f"{place}/{name}", method, seed, best, found, test)
        if winner is not None and any(found[0][1].member is not None for found in models.values()):
            ends = {
                str(row["trial"]): int(row["trained_pairs"])
                for row in run.ancestry.chain(method, seed).to_dict("records")
            }
            lineage = [
                (point, trial)
                for found in models.values()
                for point, trial in found
                if point.trained_pairs <= ends.get(trial.trial, -1)
            ]
            lineage.sort(key=lambda pair: pair[0].trained_pairs)
            yield _Session(f"{place}/winner", method, seed, True, lineage, tested.get((method, seed), {}))


def _experiment(run: Run, sessions: Iterable[_Session]) -> summary_pb2.Summary:
    """Return what there is to filter and sort by in the HParams view."""
    names = run.hyperparameters
    experiment = api_pb2.Experiment(name=run.name, description="nmt-pbt")
    methods = list(dict.fromkeys(session.method for session in sessions))
    infos = [(_METHOD, "STRING", methods), (_SEED, "FLOAT64", None), (_WINNER, "BOOL", [False, True])]
    for name, kind, values in infos:
        info = experiment.hparam_infos.add(name=name, type=api_pb2.DataType.Value(f"DATA_TYPE_{kind}"))
        for value in values or []:
            _put(info.domain_discrete.values.add(), value)
    for name in names:
        _describe(experiment.hparam_infos.add(name=name, display_name=value_label(name)), run.space.get(name))
    for metric in (run.objective, *(f"test/{metric}" for metric in run.tested_metrics)):
        label = f"test {metric_label(metric[5:])}" if metric.startswith("test/") else metric_label(metric)
        experiment.metric_infos.add(name=api_pb2.MetricName(tag=metric), display_name=label)
    return _summary(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=experiment))


def _describe(info: Any, domain: Domain | None) -> None:
    """Tell the kind and range of a hyperparameter."""
    words = isinstance(domain, ChoiceDomain) and not all(isinstance(value, (int, float)) for value in domain.choices)
    info.type = api_pb2.DATA_TYPE_STRING if words else api_pb2.DATA_TYPE_FLOAT64
    if isinstance(domain, ChoiceDomain):
        for value in domain.choices:
            _put(info.domain_discrete.values.add(), str(value) if words else value)
    elif domain is not None:
        info.domain_interval.min_value, info.domain_interval.max_value = domain.min, domain.max


def _put(place: Any, value: object) -> None:
    """Set a protobuf value."""
    if isinstance(value, bool):
        place.bool_value = value
    elif isinstance(value, (int, float)):
        place.number_value = float(value)
    else:
        place.string_value = str(value)


def _events(session: _Session) -> Iterator[tuple[float, int, summary_pb2.Summary]]:
    """Yield time, step and summary of everything that is known of a session."""
    first, (last, final) = session.points[0][0], session.points[-1]
    start = plugin_data_pb2.SessionStartInfo(start_time_secs=first.time, group_name=session.name)
    values = {**final.values, _METHOD: session.method, _SEED: session.seed, _WINNER: session.winner}
    for name, value in values.items():
        _put(start.hparams[name], value)
    begun = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    yield first.time, 0, _summary(metadata.SESSION_START_INFO_TAG, begun)
    for point, trial in session.points:
        scalars = {name: value for name, value in point.metrics.items() if value is not None}
        for name, number in trial.values.items():
            if isinstance(number, (int, float)):
                scalars[f"hyperparameters/{name}"] = float(number)
        yield point.time, point.trained_pairs, _scalars(scalars)
    if session.test:
        yield last.time, last.trained_pairs, _scalars({f"test/{name}": value for name, value in session.test.items()})
    status = api_pb2.STATUS_FAILURE if session.failed else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=last.time)
    yield (
        last.time,
        last.trained_pairs,
        _summary(
            metadata.SESSION_END_INFO_TAG,
            plugin_data_pb2.HParamsPluginData(session_end_info=end),
        ),
    )


def _scalars(values: Mapping[str, float]) -> summary_pb2.Summary:
    summary = summary_pb2.Summary()
    for name, value in values.items():
        if math.isfinite(value):
            summary.value.add(tag=name, simple_value=value)
    return summary


def _summary(tag: str, data: plugin_data_pb2.HParamsPluginData) -> summary_pb2.Summary:
    summary = summary_pb2.Summary()
    value = summary.value.add(tag=tag)
    value.metadata.CopyFrom(metadata.create_summary_metadata(data))
    value.tensor.CopyFrom(metadata.NULL_TENSOR)
    return summary


def _encoded(events: Iterable[tuple[float, int, summary_pb2.Summary]]) -> bytes:
    """Return an event file's content."""
    content = io.BytesIO()
    writer = RecordWriter(content)
    writer.write(event_pb2.Event(file_version="brain.Event:2").SerializeToString())
    for time, step, summary in events:
        writer.write(event_pb2.Event(wall_time=time, step=step, summary=summary).SerializeToString())
    return content.getvalue()
