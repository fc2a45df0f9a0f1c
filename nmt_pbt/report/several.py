"""Several runs as one: the same figures, tables and tests over all of their searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report.methods import combined_name
from nmt_pbt.report.run import Run, Sample, load_run
from nmt_pbt.run.records import AnyRecord, RunStarted
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention
from nmt_pbt.tasks.translation.scoring.significance import Counts


@dataclass(frozen=True)
class SeveralRuns(Run):
    """Runs that searched on the same corpus for the same objective, as one.

    The methods of run n are called `METHOD (n: NAME)`, n from 1.

    Attributes:
        parts: The runs.
    """

    parts: tuple[Run, ...] = ()

    @property
    def name(self) -> str:
        """The names of the runs, numbered as in the labels of their methods."""
        return ", ".join(f"{number}: {part.name}" for number, part in enumerate(self.parts, start=1))

    @property
    def runs(self) -> Sequence[Run]:
        """The runs."""
        return self.parts

    @cached_property
    def translations(self) -> pd.DataFrame:
        """Those of all runs."""
        return self._joined([part.translations for part in self.parts])

    @cached_property
    def diagnoses(self) -> pd.DataFrame:
        """Those of all runs, each by the ranges that it searched."""
        return self._joined([part.diagnoses for part in self.parts])

    @cached_property
    def samples(self) -> list[Sample]:
        """Those of the first run that keeps some; the others translated the same sentences."""
        return next((part.samples for part in self.parts if part.samples), [])

    def attention(self, method: str, seed: int) -> list[SentenceAttention]:
        """Where a search's winner looked: as its own run tells."""
        for number, part in enumerate(self.parts):
            for test in part.tested:
                if (self._method(number, test.method), test.seed) == (method, seed):
                    return part.attention(test.method, seed)
        return []

    @cached_property
    def counts(self) -> dict[tuple[str, int], dict[str, Counts]]:
        """Those of all runs."""
        return {
            (self._method(number, method), seed): counts
            for number, part in enumerate(self.parts)
            for (method, seed), counts in part.counts.items()
        }

    @cached_property
    def space(self) -> dict[str, Domain]:
        """For each hyperparameter the narrowest range that holds the range of every run."""
        found: dict[str, Domain] = {}
        for part in self.parts:
            for name, domain in part.space.items():
                found[name] = _joined(found[name], domain) if name in found else domain
        return found

    def _joined(self, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Return one table of each run's, with the methods' names of these runs together."""
        renamed = []
        for number, frame in enumerate(frames):
            methods = [self._method(number, str(method)) for method in frame["method"]]
            renamed.append(frame.assign(method=pd.Series(methods, index=frame.index, dtype="object")))
        return pd.concat(renamed, ignore_index=True)

    def _method(self, number: int, method: str) -> str:
        return combined_name(method, number + 1, self.parts[number].name)


def load_runs(paths: Sequence[Path | str]) -> Run:
    """Read runs to be compared.

    Args:
        paths: Run directories; one is read as it is.

    Returns:
        The runs as one.

    Raises:
        UsageError: One is named twice or is not a run, or two differ in their corpus, their objective, or how test was
            scored.
        JournalError: A journal is damaged.
    """
    runs = [load_run(path) for path in paths]
    if len(runs) == 1:
        return runs[0]
    places = [run.path.resolve() for run in runs]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(f"{runs[number].path}: named twice; name each run once")
    for run in runs[1:]:
        _check_comparable(runs[0], run)
    records: list[AnyRecord] = []
    for number, run in enumerate(runs, start=1):
        for record in run.records:
            if isinstance(record, RunStarted):
                records += [record] if number == 1 else []
            else:
                name = combined_name(record.method, number, run.name)
                records.append(record.model_copy(update={"method": name}))
    return SeveralRuns(runs[0].path, runs[0].settings, runs[0].environment, records, tuple(runs))


def _check_comparable(first: Run, other: Run) -> None:
    """Refuse runs whose scores mean different things."""
    if first.started.data != other.started.data:
        raise UsageError(
            f"{other.path}: was not searched on the corpus of {first.path} (another text, another part of it, other "
            "subwords), so that their scores do not compare; report them one by one"
        )
    for what in ("objective", "direction"):
        ours, theirs = (set(run.searches[what]) for run in (first, other))
        if ours and theirs and ours != theirs:
            raise UsageError(
                f"{other.path}: {what} {', '.join(sorted(theirs))}, but {', '.join(sorted(ours))} in {first.path}; "
                "report them one by one"
            )
    for signature in (str(name) for name in first.tests if name in other.tests):
        if not signature.startswith("signature_"):
            continue
        ours, theirs = (set(run.tests[signature].dropna()) for run in (first, other))
        if ours != theirs:
            raise UsageError(
                f"{other.path}: test was scored as {', '.join(sorted(theirs))}, but as {', '.join(sorted(ours))} in "
                f"{first.path}; report them one by one"
            )


def _joined(a: Domain, b: Domain) -> Domain:
    """Return a range that holds both."""
    if isinstance(a, NumberDomain) and isinstance(b, NumberDomain):
        whole: Mapping[str, Any] = {"min": min(a.min, b.min), "max": max(a.max, b.max), "step": None}
        return a.model_copy(update={**whole, "integer": a.integer and b.integer})
    if isinstance(a, ChoiceDomain) and isinstance(b, ChoiceDomain):
        choices = list(dict.fromkeys([*a.choices, *b.choices]))
        numbers = [choice for choice in choices if isinstance(choice, (int, float))]
        return a.model_copy(update={"choices": sorted(numbers) if len(numbers) == len(choices) else choices})
    number, choice = (a, b) if isinstance(a, NumberDomain) else (b, a)
    if isinstance(number, NumberDomain) and isinstance(choice, ChoiceDomain):
        values = [value for value in choice.choices if isinstance(value, (int, float))]
        return number.model_copy(update={"min": min([number.min, *values]), "max": max([number.max, *values])})
    return a
