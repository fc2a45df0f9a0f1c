"""A run directory, read back: settings, environment and journal, and everything the journal tells as tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.text import counted
from nmt_pbt.base.yaml_text import read_yaml
from nmt_pbt.report import series
from nmt_pbt.report.lineage import Ancestry
from nmt_pbt.report.methods import method_info
from nmt_pbt.run.journal import read_journal
from nmt_pbt.run.records import AnyRecord, Assigned, Guessed, RunStarted, SearchStarted, Tested
from nmt_pbt.space.settings import ChoiceDomain, Domain, NumberDomain
from nmt_pbt.space.space import Space, domain_of
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention, attention_path, read_attention
from nmt_pbt.tasks.translation.scoring.significance import Counts, corpus_scores, counts_path, read_counts


@dataclass(frozen=True)
class Sample:
    """One test sentence that is shown beside its translations.

    Attributes:
        line: 0-based place in the test split, and in each file of translations.
        source: The sentence.
        reference: Its human translation.
    """

    line: int
    source: str
    reference: str


def _table(make: Callable[[Sequence[AnyRecord]], pd.DataFrame]) -> cached_property[pd.DataFrame]:
    """Return a property of a run: a table of its records, made when it is first asked for."""

    def of(run: Run) -> pd.DataFrame:
        return make(run.records)

    of.__doc__ = make.__doc__
    return cached_property(of)


_MINIMISED = ("loss", "error", "mse", "mae", "mape", "perplexity")


@dataclass(frozen=True)
class Run:
    """One run, as its directory tells it.

    Tables are made when first asked for; their columns are documented where they are made, and their version is
    `columns.SCHEMA_VERSION`.

    Attributes:
        path: The run directory.
        settings: `settings.yaml` as it was recorded, which may name settings this version does not know.
        environment: `environment.json`.
        records: The journal.
    """

    path: Path
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    records: Sequence[AnyRecord]

    @property
    def name(self) -> str:
        """The run's name: that of its settings, else that of its directory."""
        return str(self.settings.get("name") or self.path.resolve().name)

    @property
    def unit(self) -> str:
        """A word for one of what budgets are counted in: `sentence pair` or, for a task of one's own, `epoch`."""
        return str(self.runs[0].settings.get("unit", "sentence pair"))

    @property
    def decodes(self) -> bool:
        """Whether winners were tested by what they wrote: translations."""
        return self.unit == "sentence pair"

    def amount(self, pairs: float) -> str:
        """Return an amount of training in words: `400 sentence pairs (2 epochs)`, or `2 epochs` where that is all."""
        epochs = counted(pairs / self.pairs_per_epoch, "epoch")
        return epochs if self.unit == "epoch" else f"{counted(pairs, self.unit)} ({epochs})"

    @property
    def runs(self) -> Sequence[Run]:
        """The runs this one is made of: itself."""
        return [self]

    @property
    def started(self) -> RunStarted:
        """The journal's first record."""
        for record in self.records:
            if isinstance(record, RunStarted):
                return record
        raise UsageError(f"{self.path}: its journal is empty, it was killed as it began; continue it with --resume")

    searches = _table(series.searches)
    trials = _table(series.trials)
    evaluations = _table(series.evaluations)
    best_so_far = _table(series.best_so_far)
    winners = _table(series.winners)
    tests = _table(series.tests)
    test_sets = _table(series.test_sets)
    time_spent = _table(series.time_spent)

    @cached_property
    def methods(self) -> list[str]:
        """Names of the methods, in the order in which their first searches were started."""
        return [str(method) for method in dict.fromkeys(self.searches["method"])]

    @property
    def objective(self) -> str:
        """The metric that was searched by, for instance `val_bleu`."""
        return str(self.searches["objective"].iloc[0])

    @property
    def direction(self) -> str:
        """Whether the objective is to be `max`imised or `min`imised."""
        return str(self.searches["direction"].iloc[0])

    @property
    def pairs_per_epoch(self) -> int:
        """Sentence pairs of one epoch."""
        return int(self.searches["pairs_per_epoch"].iloc[0])

    @cached_property
    def hyperparameters(self) -> list[str]:
        """Names of all hyperparameters that were ever assigned, in the order in which they first were."""
        return series.hyperparameters(self.records)

    @property
    def tested_metrics(self) -> list[str]:
        """Names of the metrics that the test split was scored with, for instance `bleu` and `chrf`."""
        return [name.removeprefix("test_") for name in self.tests.columns if name.startswith("test_")]

    @property
    def tested(self) -> list[Tested]:
        """What was tested, one record a search."""
        return series.latest_tests(self.records)

    @cached_property
    def diagnoses(self) -> pd.DataFrame:
        """How greedy each population was: see `series.diagnoses`."""
        domains = [domain_of(name, domain) for name, domain in self.space.items() if self._was_searched(name, domain)]
        return series.diagnoses(self.records, Space(tuple(domains)) if domains else None, self._populations)

    @cached_property
    def _populations(self) -> frozenset[str]:
        """Names of the run's methods that have a population; those of variants as its settings tell."""
        search = self.settings.get("search")
        variants = search.get("variants") if isinstance(search, Mapping) else None
        names = {record.method for record in self.records if isinstance(record, SearchStarted)}
        bases = {name: dict(variants or {}).get(name, {}).get("method", name) for name in names}
        return frozenset(name for name, base in bases.items() if method_info(str(base)).kind == "population")

    def _was_searched(self, name: str, domain: Domain) -> bool:
        """Return whether the populations' values are of a range, which settings that were edited may not tell."""
        return all(
            name in record.values and (isinstance(domain, NumberDomain) or record.values[name] in domain.choices)
            for record in self.records
            if isinstance(record, Assigned) and record.method in self._populations
        )

    @cached_property
    def ancestry(self) -> Ancestry:
        """Lineages to ask for: see `lineage.Ancestry`."""
        return Ancestry(self.records)

    @cached_property
    def lineage(self) -> pd.DataFrame:
        """One row for each trial with a parent: see `lineage.Ancestry.table`."""
        return self.ancestry.table()

    @cached_property
    def translations(self) -> pd.DataFrame:
        """One row for each test sentence and search: columns method, seed, line (0-based), translation.

        Raises:
            UsageError: A file of translations that the journal names is missing.
        """
        rows: list[tuple[str, int, int, str]] = []
        for test in self.tested:
            if test.outputs is not None:
                text = _read_text(self._inside(test.outputs)).removesuffix("\n")
                rows += [(test.method, test.seed, line, row) for line, row in enumerate(text.split("\n"))]
        return pd.DataFrame(rows, columns=["method", "seed", "line", "translation"])

    @cached_property
    def samples(self) -> list[Sample]:
        """The test sentences to show; empty when the run keeps none."""
        path = self.path / "translations" / "sample.json"
        if not path.exists():
            return []
        try:
            rows = json.loads(_read_text(path))
            return [Sample(int(row["line"]), str(row["source"]), str(row["reference"])) for row in rows]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise UsageError(f"{path}: not a list of line, source and reference; restore it from a copy") from None

    def attention(self, method: str, seed: int) -> list[SentenceAttention]:
        """Where a search's winner looked in a few test sentences; empty where the run does not keep it."""
        for test in self.tested:
            if (test.method, test.seed) == (method, seed) and test.outputs is not None:
                path = attention_path(self._inside(test.outputs))
                return read_attention(path) if path.exists() else []
        return []

    @cached_property
    def counts(self) -> dict[tuple[str, int], dict[str, Counts]]:
        """Sentence counts of each tested search's translations, where the run keeps them: see `significance`.

        Raises:
            UsageError: A file of counts does not add up to the score in the journal, or is of another text.
        """
        found: dict[tuple[str, int], dict[str, Counts]] = {}
        sentences: int | None = None
        for test in self.tested:
            path = counts_path(self._inside(test.outputs)) if test.outputs is not None else None
            if path is None or not path.exists():
                continue
            counts = read_counts(path)
            for metric, rows in counts.items():
                sentences = len(rows) if sentences is None else sentences
                if len(rows) != sentences:
                    raise UsageError(
                        f"{path}: counts {len(rows)} sentences, other files of the run {sentences}; "
                        "restore them from the same run"
                    )
                recorded = test.test.get(metric)
                score = float(corpus_scores(metric, rows.sum(axis=0)))
                if recorded is not None and abs(score - recorded) > 0.01:
                    raise UsageError(
                        f"{path}: adds up to {metric} {score:.2f}, but the journal says {recorded:.2f}; "
                        "restore both from the same run"
                    )
            found[test.method, test.seed] = counts
        return found

    @cached_property
    def space(self) -> dict[str, Domain]:
        """The hyperparameters that were searched, as settings tell them; empty where they do not."""
        file = self.path / "settings.yaml"
        search = self.settings.get("search")
        space = search.get("space") if isinstance(search, Mapping) else None
        if not isinstance(space, Mapping | None):
            raise UsageError(f"{file}: search.space is damaged; restore it from a copy")
        found: dict[str, Domain] = {}
        for name, domain in (space or {}).items():
            kind = ChoiceDomain if isinstance(domain, Mapping) and "choices" in domain else NumberDomain
            try:
                found[str(name)] = kind.model_validate(domain)
            except ValidationError:
                raise UsageError(f"{file}: search.space.{name} is damaged; restore it from a copy") from None
        return found

    def _inside(self, name: str) -> Path:
        """Return a file of the run by its recorded name, which must not lead out of the run."""
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise UsageError(f"{self.path / 'journal.jsonl'}: names the file '{name}', which is outside the run")
        return path


def load_run(path: Path | str) -> Run:
    """Read a run directory, finished or still running.

    Args:
        path: The directory that `nmt-pbt compare` or `train` wrote.

    Returns:
        The run.

    Raises:
        UsageError: The directory is not a run; says what is missing.
        JournalError: Its journal is damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"{path}: no such run directory; give the one that compare or train wrote")
    for name in ("journal.jsonl", "settings.yaml", "environment.json"):
        if not (path / name).is_file():
            raise UsageError(f"{path}: not a run, it has no {name}; give the directory that compare or train wrote")
    settings = read_yaml(path / "settings.yaml")
    try:
        environment = json.loads(_read_text(path / "environment.json"))
    except (ValueError, RecursionError):
        raise UsageError(f"{path / 'environment.json'}: not valid JSON; restore it from a copy") from None
    if not isinstance(environment, dict):
        raise UsageError(f"{path / 'environment.json'}: expected names and values; restore it from a copy")
    return Run(path, settings, environment, _begun(read_journal(path / "journal.jsonl")))


def _begun(records: list[AnyRecord]) -> list[AnyRecord]:
    """Leave out the start of a search by hand that was killed before its first guess: it has no budget yet."""
    guessed = {(record.method, record.seed) for record in records if isinstance(record, Guessed)}
    return [
        record
        for record in records
        if not isinstance(record, SearchStarted) or record.budget_pairs or (record.method, record.seed) in guessed
    ]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: the journal names this file, but it is missing; restore it from a copy") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text; restore it from a copy") from None


def metric_direction(run: Run, metric: str) -> str:
    """Return whether a test metric is to be `max`imised or `min`imised: as the objective, else as its name says."""
    if run.objective.removeprefix("val_") == metric:
        return run.direction
    return "min" if any(word in metric.lower() for word in _MINIMISED) else "max"
