"""The PBT oracle for KerasTuner's own loop, and the one that `PopulationBasedTraining` shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from nmt_pbt.base.errors import NOT_FINITE, StateError, UsageError
from nmt_pbt.base.files import cannot_write, replace_file
from nmt_pbt.search.oracles import pbt
from nmt_pbt.search.oracles.base import EPOCHS, SafeOracle, locked
from nmt_pbt.search.oracles.pbt import JournaledPBTOracle


class StoredOracle(SafeOracle):
    """An oracle under KerasTuner's own loop: its record is `oracle.json` and one `trial.json` for each trial.

    To be named before the oracle that decides: `class Stored(StoredOracle, PBTOracle)`.

    What differs from KerasTuner's: files are written whole or not at all; the state is saved once a trial's end has
    been taken in completely, not in the middle; a trial that was begun but never saved is forgotten, so that it is
    begun again; after a resume a worker gets its own trial back before it is given to another; of a trial that two
    workers have, the first result counts; only trials that have a score are among the best.
    """

    trials: dict[str, Trial]
    _retry_queue: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_back = False
        self._over: set[str] = set()
        self._owners: dict[str, str] = {}
        self._given_again: set[str] = set()

    # --- trials ---

    @locked
    def create_trial(self, tuner_id: str) -> Trial:
        """Return a trial to run; see `SafeOracle`.

        After a resume, other workers' trials are given out only when there is nothing else to do: their workers may
        still be at them.
        """
        with self._saved_once():
            others = [trial for trial in self._retry_queue if self._owners.get(trial, tuner_id) != tuner_id]
            self._retry_queue = [trial for trial in self._retry_queue if trial not in others]
            trial = super().create_trial(tuner_id)
            self._retry_queue = others + self._retry_queue
            if others and trial.status != "RUNNING":
                trial = super().create_trial(tuner_id)
                self._given_again.add(trial.trial_id)
        return trial

    @locked
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Record an evaluation; see `SafeOracle`. One of a trial that is over is left alone."""
        if trial_id in self._over:
            return self.trials[trial_id]
        return super().update_trial(trial_id, metrics, step)

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial, once.

        Args:
            trial: With its status COMPLETED, FAILED or INVALID, and a message if it failed.
        """
        known = self.trials[trial.trial_id]
        if trial.trial_id in self._over:
            return  # another worker was faster
        if trial.trial_id in self._given_again and trial.status == "COMPLETED" and not self.observations(known):
            return  # what this worker had reported was dropped when the trial was given to another
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)  # its worker outlived the chief
        with self._saved_once():
            super().end_trial(trial)
            if known.status in ("COMPLETED", "FAILED"):
                self._over.add(trial.trial_id)

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Return the best trials, best first, without those that have no score."""
        completed = sum(trial.status == "COMPLETED" for trial in self.trials.values())
        return list(super().get_best_trials(min(num_trials, completed)))

    # --- files ---

    @locked
    def save(self) -> None:
        """Write the state to the project directory."""
        if not self._held_back:
            write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    @contextmanager
    def _saved_once(self) -> Iterator[None]:
        """Hold back what is saved in the middle; nothing is saved after an error."""
        assert not self._held_back
        self._held_back = True
        try:
            yield
        finally:
            self._held_back = False
        self.save()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._owners = {trial: tuner for tuner, trial in state["ongoing_trials"].items()}
        self._over = set(state["end_order"])
        super().set_state(state)

    def reload(self) -> None:
        """Read the project directory; trials under way wait to be given out again.

        Raises:
            StateError: A file is missing or damaged.
        """
        try:
            super().reload()
            # A trial that the state does not know was being given out when the process was killed: nobody has it.
            self.trials = {trial: self.trials[trial] for trial in self.start_order}
        except (json.JSONDecodeError, KeyError) as error:
            raise StateError(
                f"{self._project_dir}: damaged or incomplete ({error}); restore it from a copy, or start afresh with "
                "overwrite=True"
            ) from None
        for trial in self._retry_queue:
            self.trials[trial].status = "RUNNING"


def write_json(path: Path, plain: Any) -> None:
    """Write plain data to a file, which is replaced whole: a kill leaves the old one or the new one.

    Args:
        path: The file.
        plain: What JSON can hold.

    Raises:
        SearchError: The disk is full or cannot be written; the file is as it was.
    """
    text = json.dumps(plain)
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return  # KerasTuner saves often, and the disk takes its time
    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise cannot_write(error) from error


class PBTOracle(StoredOracle, pbt.PBTOracle):
    """Population Based Training for a `keras_tuner.Tuner` of one's own.

    A tuner of one's own reads from a trial's values where to start and how far to train: `pbt/parent` (the trial whose
    final state to take over; empty for a fresh start), `pbt/age` (epochs those weights were trained on) and
    `search/epochs` (epochs to train).

    Args:
        *args: Of `nmt_pbt.search.oracles.pbt.PBTOracle`.
        **kwargs: Likewise.
    """

    def __init__(
        self,
        objective: Any = None,
        population_size: int = 8,
        interval: float = 1.0,
        epochs: float = 10.0,
        **kwargs: Any,
    ) -> None:
        self._arguments = {"population_size": population_size, "interval": interval, "epochs": epochs}
        super().__init__(objective, population_size, interval, epochs, **kwargs)

    def needed_trials(self) -> set[str]:
        """Return the trials whose final states can still be asked for: of members, and of the best trial.

        A tuner may delete the states of all others, but for those of trials under way.
        """
        return self.population.needed() | {trial.trial_id for trial in self.get_best_trials(1)}

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Return the best trials whose score is a number, best first."""
        return _finite(super().get_best_trials(len(self.trials)))[:num_trials]

    def get_state(self) -> dict[str, Any]:
        """Return the state, with the arguments that it is only good for."""
        return {**super().get_state(), "arguments": self._arguments}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned.

        Raises:
            UsageError: It is of a search with other arguments.
        """
        for name, value in self._arguments.items():
            begun = state["arguments"][name]
            if begun != value:
                raise UsageError(
                    f"{self._project_dir}: begun with {name}={begun:g}, now {name}={value:g}; go on with the same, or "
                    "start afresh with overwrite=True or another project_name"
                )
        super().set_state(state)


class SearchOracle(JournaledPBTOracle):
    """What `PopulationBasedTraining` decides by, and shows: the oracle of the journal's driver, with whole trials.

    Args:
        hyperparameters: The space as KerasTuner has it.
        **kwargs: Of `JournaledPBTOracle`.
    """

    def __init__(self, *, hyperparameters: keras_tuner.HyperParameters, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hyperparameters = hyperparameters.copy()
        self.trials: dict[str, Trial] = {}  # type: ignore[assignment]  # whole, not put away

    @locked
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Record an evaluation; its step is the age of the weights in epochs, as everywhere in KerasTuner."""
        values = self.trials[trial_id].hyperparameters.values
        return super().update_trial(trial_id, metrics, round(values[pbt.AGE] + values[EPOCHS]))

    @locked
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial; see `nmt_pbt.search.oracles.pbt.PBTOracle`."""
        pbt.PBTOracle.end_trial(self, trial)
        if trial.status == "FAILED" and trial.message == NOT_FINITE:
            self.trials[trial.trial_id].score = -math.inf if self.objective.direction == "max" else math.inf

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Return the best trials whose score is a number, best first."""
        completed = sum(trial.status == "COMPLETED" for trial in self.trials.values())
        return _finite(super().get_best_trials(completed))[:num_trials]


def _finite(trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in trials if math.isfinite(trial.score)]
