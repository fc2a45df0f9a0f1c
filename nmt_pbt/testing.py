"""Contract tests for search methods and tasks of one's own: what a search relies on, checked without a search.

In a test of your own::

    from nmt_pbt.testing import check_method, check_task

    import my_method  # registers "firsts"


    def test_my_method_keeps_the_contract():
        check_method("firsts", "search.firsts.different=3")


    def test_my_task_keeps_the_contract():
        check_task(MyTask(), {"depth": 3}, {"depth": 8})

Each raises an `AssertionError` that says what is promised and what came instead.
"""

from __future__ import annotations

import json
import math
import pickle
import tempfile
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nmt_pbt.base.types import Value
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.methods.registry import build_method
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.tasks.protocol import MemberState, Task, Trainable
from nmt_pbt.tasks.state import StateStore, content_hash

if TYPE_CHECKING:
    from nmt_pbt.search.oracles.base import JournaledOracle

Score = Callable[[Assignment, int], float]
"""(trial, 1-based interval) -> the objective."""

PAIRS_PER_EPOCH = 1000
SMALL_SEARCH = (
    "search.population=6",
    "search.interval=1.0",
    "training.epochs=8.0",
    "search.space.learning_rate={min: 3.0e-4, max: 1.0e-2, scale: log}",
    "search.space.dropout={min: 0.0, max: 0.6}",
    "search.space.recurrent_dropout={min: 0.0, max: 0.5}",
    "search.space.batch_size={choices: [16, 32, 64, 128]}",
)
"""Settings of the small search that `check_method` makes, whatever the defaults are."""


def smooth_score(assignment: Assignment, step: int) -> float:
    """Return a made-up score that depends on every value and on the trial, and grows with training."""
    total = 0.0
    for name, value in sorted(assignment.values.items()):
        number = float(value) if isinstance(value, (int, float)) else len(value)
        total += math.sin(3.0 * number + len(name)) / 4.0
    noise = (zlib.crc32(assignment.trial.encode()) % 1000) / 1000.0
    return 20.0 + total + step + noise


@dataclass
class OracleSession:
    """Drives an oracle as a run does, without training anything.

    Attributes:
        oracle: A fresh one.
        interval: Epochs between two evaluations.
        score: What is reported of each interval.
        fails: Why a trial fails; None where it does not.
        metric: The objective's name.
        evidence: What a task would say of a score in more detail, packed, where the oracle asks for it.
        assignments: The trials that were given out, in order.
        busy: Those under way, by worker.
        needed: After each trial, the trials whose states may still be asked for.
    """

    oracle: JournaledOracle
    interval: float
    score: Score = smooth_score
    fails: Callable[[Assignment], str | None] = lambda assignment: None
    metric: str = "val_bleu"
    evidence: Callable[[float], str] = lambda score: ""
    assignments: list[Assignment] = field(default_factory=list)
    busy: dict[str, Assignment] = field(default_factory=dict)
    needed: list[Collection[str]] = field(default_factory=list)

    def give(self, worker: str) -> str:
        """Ask for a trial; return the status."""
        trial = self.oracle.create_trial(worker)
        if trial.status == "RUNNING":
            self.busy[worker] = self.oracle.assignment(trial)
            self.assignments.append(self.busy[worker])
        return str(trial.status)

    def finish(self, worker: str) -> None:
        """Report a worker's trial."""
        oracle, assignment = self.oracle, self.busy.pop(worker)
        trial = oracle.get_trial(assignment.trial)
        failure = self.fails(assignment)
        if failure is None:
            for step in range(1, math.ceil(assignment.epochs / self.interval - 1e-9) + 1):
                score = self.score(assignment, step)
                if oracle.needs_evidence is not None:
                    oracle.report_evidence(assignment.trial, self.evidence(score))
                oracle.update_trial(assignment.trial, {self.metric: score, "train_loss": 1.0}, step=step)
        trial.status = "COMPLETED" if failure is None else "FAILED"
        trial.message = failure
        oracle.end_trial(trial)
        self.needed.append(oracle.needed())

    def run(self, workers: int = 1, pick: Callable[[int], int] = lambda count: 0, trials: int = 10**9) -> OracleSession:
        """Drive to the end, or until so many trials were given out.

        Args:
            workers: How many trials may be under way.
            pick: Chooses which of so many trials under way ends next.
            trials: How many are given out, at most.
        """
        names = [f"worker{number}" for number in range(workers)]
        while True:
            for worker in names:
                if worker not in self.busy and len(self.assignments) < trials:
                    status = self.give(worker)
                    _expect(status in ("RUNNING", "IDLE", "STOPPED"), f"a new trial runs, or there is none: {status}")
                    _expect(status != "IDLE" or bool(self.busy), "an oracle is idle only while a trial is under way")
            if not self.busy or len(self.assignments) >= trials:
                return self
            self.finish(list(self.busy)[pick(len(self.busy))])

    @property
    def pairs(self) -> int:
        """Sentence pairs trained; of a trial that failed, those of the interval in which it did."""
        return sum(
            sum(intervals if self.fails(assignment) is None else intervals[:1])
            for assignment in self.assignments
            for intervals in [self.oracle.budget.intervals(assignment)]
        )

    @property
    def epochs(self) -> float:
        """Epochs trained."""
        return self.pairs / self.oracle.budget.pairs_per_epoch


Begin = Callable[..., OracleSession]
"""Begins a session with a fresh oracle; takes fields of `OracleSession` by name."""


def check_method(name: str, *assignments: str, plan: SearchPlan | None = None) -> None:
    """Check that a registered search method keeps the contract of all methods.

    Args:
        name: The method, as it was registered.
        *assignments: Settings of the small search that is made, as on the command line: `search.firsts.different=3`.
        plan: What is searched instead of the default space of translation; without `assignments`.

    Raises:
        AssertionError: A promise is broken; says which.
        UsageError: There is no such method, or it refuses the settings.
    """
    if plan is None:
        from nmt_pbt.tasks.translation.settings.tree import load_settings

        plan = load_settings(assignments=[*SMALL_SEARCH, *assignments]).search_plan()
    searched = plan

    def begin(**changes: object) -> OracleSession:
        oracle = build_method(name, searched, 0, PAIRS_PER_EPOCH)
        fields = {"metric": searched.objective.name, **changes}
        return OracleSession(oracle, searched.settings.interval, **fields)  # type: ignore[arg-type]

    check_values(begin)
    check_budget(begin)
    check_failures(begin)
    check_repeats(begin)
    check_resumes(begin)
    check_state(begin)


def check_values(begin: Begin) -> None:
    """Check that a method gives out values of its space, as plain data, each within its bounds and on its grid."""
    driven = begin().run(workers=3)
    space = driven.oracle.space
    for assignment in driven.assignments:
        values = driven.oracle.get_trial(assignment.trial).hyperparameters.values
        for domain in space.domains:
            value = values[domain.name]
            _expect(domain.contains(value), f"values lie within their range: {domain.name} is {value}")
        _expect(
            tuple(assignment.values) == space.names,
            f"a trial has each value of the space, in its order: {', '.join(assignment.values)}",
        )
        for key, value in values.items():
            _expect(type(value) in (int, float, str, bool), f"values are plain data: {key} is a {type(value).__name__}")


def check_budget(begin: Begin, workers: int = 2, pick: Callable[[int], int] = lambda count: 0) -> None:
    """Check that a search trains exactly its budget, and gives out nothing more.

    Args:
        begin: Begins the search.
        workers: How many trials may be under way.
        pick: Chooses which of so many trials under way ends next.
    """
    driven = begin().run(workers, pick)
    total = driven.oracle.budget.total
    _expect(driven.pairs == total, f"the budget is met exactly: {driven.pairs} pairs were trained of {total}")
    status = driven.give("worker0")
    _expect(status == "STOPPED", f"nothing is given out when the budget is spent: {status}")


def check_failures(begin: Begin) -> None:
    """Check that a search goes on after trials that failed, and that its best trial is one that did not."""
    driven = begin(fails=lambda assignment: "nan" if assignment.trial.endswith(("1", "4")) else None).run(workers=2)
    best = driven.oracle.get_best_trials(1)[0]
    _expect(math.isfinite(best.score), f"the best trial has a score: {best.score}")
    _expect(best.status == "COMPLETED", f"the best trial did not fail: {best.status}")


def check_repeats(begin: Begin) -> None:
    """Check that the same seed and results give the same trials."""
    first, second = begin().run(workers=2).assignments, begin().run(workers=2).assignments
    _expect(first == second, "the same seed and results give the same trials")


def check_resumes(begin: Begin, part: int = 2) -> None:
    """Check that a fresh oracle that is told the same decides the same, as it has to when a run is resumed.

    Args:
        begin: Begins the search.
        part: The search is cut after one trial in so many.
    """
    whole = begin(fails=lambda assignment: "nan" if assignment.trial.endswith("3") else None).run(workers=3)
    count = len(whole.assignments) // part
    again = begin(fails=whole.fails).run(workers=3, trials=count)
    _expect(bool(again.busy), "a search that is cut has a trial under way")
    _expect(again.assignments == whole.assignments[:count], "a fresh oracle that is told the same decides the same")
    _expect(again.run(workers=3).assignments == whole.assignments, "a search that was cut goes on as it would have")


def check_state(begin: Begin) -> None:
    """Check that a fresh oracle with the state of another one, passed through JSON, goes on as that one would."""
    from keras_tuner.engine.trial import Trial

    whole = begin().run(workers=3)
    part = begin().run(workers=3, trials=len(whole.assignments) // 2)
    old, fresh = part.oracle, begin().oracle
    state, ended = json.loads(json.dumps([old.get_state(), [trial.get_state() for trial in old.trials.values()]]))
    fresh.trials.update({trial["trial_id"]: Trial.from_state(trial) for trial in ended})
    fresh.set_state(state)
    part.oracle = fresh
    _expect(
        part.run(workers=3).assignments == whole.assignments, "an oracle with another one's state goes on as that one"
    )


def check_task(
    task: Task,
    values: Mapping[str, Value],
    other_values: Mapping[str, Value],
    structural: Mapping[str, Value] | None = None,
    pairs: int | None = None,
) -> None:
    """Check that a task and its trainables keep the contract of `nmt_pbt.tasks.protocol`.

    Args:
        task: The task.
        values: Hyperparameters that may change in training, as a search would assign them.
        other_values: Other values of the same ones.
        structural: Those that decide the model's shape.
        pairs: Training pairs of an interval; None takes an epoch.

    Raises:
        AssertionError: A promise is broken; says which.
    """
    structural, pairs = dict(structural or {}), pairs or task.pairs_per_epoch
    _expect(bool(task.name) and bool(task.data_digest), "a task has a name and a digest of its data")
    _expect(type(task.pairs_per_epoch) is int and task.pairs_per_epoch > 0, "an epoch is a positive number of pairs")
    _expect(task.structural >= set(structural), f"structural names {', '.join(structural)}")
    sent = pickle.loads(pickle.dumps(task.with_threads(1)))  # noqa: S301  # as it is sent to a worker
    first, second = task.build(structural), sent.build(structural)
    check_fresh_weights(first, second)
    check_values_in_force(first, values, other_values)
    check_training(first, values, pairs)
    check_handover(first, second, values, other_values, pairs)
    check_evaluation(first)
    check_test(task, first)


def check_fresh_weights(first: Trainable, second: Trainable) -> None:
    """Check that a seed decides the fresh weights, whatever a trainable did before."""
    first.reset(1)
    begun = first.state()
    _expect(begun.age == 0, f"fresh weights were trained on nothing: their age is {begun.age}")
    second.reset(2)
    second.reset(1)
    _same(begun, second.state(), "the same seed gives the same fresh weights")


def check_values_in_force(trainable: Trainable, values: Mapping[str, Value], other_values: Mapping[str, Value]) -> None:
    """Check that values that are set are in force, and can be read back."""
    for given in (values, other_values):
        trainable.set_hyperparameters(given)
        _in_force(trainable, given)


def check_training(trainable: Trainable, values: Mapping[str, Value], pairs: int) -> None:
    """Check that training counts its pairs, tells its loss, and leaves a state that was taken before as it was."""
    trainable.reset(1)
    trainable.set_hyperparameters(values)
    before = trainable.state()
    held = content_hash(before)
    metrics = trainable.train(pairs)
    _expect("train_loss" in metrics, f"`train` returns `train_loss`, not only {', '.join(metrics) or 'nothing'}")
    age = trainable.state().age
    _expect(age == pairs, f"a model's age counts the pairs it was trained on: {age} after {pairs}")
    _expect(content_hash(before) == held, "a state is a copy: training on does not change it")


def check_handover(
    donor: Trainable, child: Trainable, values: Mapping[str, Value], other_values: Mapping[str, Value], pairs: int
) -> None:
    """Check that a saved state is the whole member: who loads it goes on as its donor does, with values of its own."""
    donor.reset(1)
    donor.set_hyperparameters(values)
    donor.train(pairs)
    state = donor.state()
    with tempfile.TemporaryDirectory() as folder:
        store = StateStore(Path(folder))
        loaded = store.load("donor", store.save("donor", state))
    child.reset(2)
    child.set_hyperparameters(other_values)
    child.train(3 * pairs)  # in all that it counts it differs from the donor
    child.load(loaded)
    _same(state, child.state(), "a loaded model holds the state that it was given")
    for trainable in (donor, child):
        trainable.set_hyperparameters(other_values)
        _in_force(trainable, other_values)
        trainable.reseed(3)
        trainable.reorder(4)
        trainable.train(pairs)
    after = donor.state()
    _same(after, child.state(), "the same state, values and seeds give the same next state")
    _expect(after.age == 2 * pairs, f"age goes on from the state that was loaded: {after.age} after {2 * pairs} pairs")


def check_evaluation(trainable: Trainable) -> None:
    """Check that an evaluation gives the same metrics when repeated, and changes nothing."""
    before = trainable.state()
    first, second = trainable.evaluate(), trainable.evaluate()
    _expect(bool(first.metrics), "an evaluation has a metric")
    for name, value in first.metrics.items():
        _expect(isinstance(value, float), f"metrics are floats: {name} is a {type(value).__name__}")
    _expect(dict(first.metrics) == dict(second.metrics), "an evaluation that is repeated gives the same")
    _same(before, trainable.state(), "an evaluation changes nothing of the state")


def check_test(task: Task, trainable: Trainable) -> None:
    """Check that a winner can be tested, and that the files which the result names are there."""
    with tempfile.TemporaryDirectory() as folder:
        task.begin(Path(folder))
        result = task.test(trainable, Path(folder), "winner")
        _expect(bool(result.metrics), "a test has a metric")
        for one in (result, *result.others):
            if one.outputs is not None:
                _expect((Path(folder) / one.outputs).is_file(), f"a test writes the file it names: {one.outputs}")


def _in_force(trainable: Trainable, values: Mapping[str, Value]) -> None:
    held = trainable.effective_values()
    for name, value in values.items():
        told = name in held or getattr(trainable, "checks_values", False)
        _expect(told, f"values in force can be read back: {name} is missing")
        if name in held:
            number = isinstance(value, float) and isinstance(held[name], (int, float))
            same = math.isclose(float(held[name]), float(value), rel_tol=1e-6) if number else held[name] == value
            _expect(same, f"values that are set are in force: {name} is {held[name]}, not {value}")


def _same(wanted: MemberState, held: MemberState, promise: str) -> None:
    names = [*wanted.arrays] if [*wanted.arrays] == [*held.arrays] else None
    differs = next(
        (name for name in names or () if wanted.arrays[name].tobytes() != held.arrays[name].tobytes()),
        f"age {held.age}, not {wanted.age}" if names is not None else "names of arrays",
    )
    _expect(content_hash(wanted) == content_hash(held), f"{promise}: {differs} differs")


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)
