"""How greedy each population of a run is, from the journal's records, also while a search is under way."""

from __future__ import annotations

from collections.abc import Collection

from nmt_pbt.base.errors import JournalError
from nmt_pbt.run.records import AnyRecord, Assigned, SearchStarted
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.methods.registry import method_specs
from nmt_pbt.search.plan import SearchPlan
from nmt_pbt.search.population.diagnostics import Diagnosis, Diagnostics
from nmt_pbt.space.space import Space


class Greediness:
    """Diagnoses every population of a run, record by record.

    Args:
        space: What the run searches.
        populations: Names of the methods that have a population.
    """

    def __init__(self, space: Space, populations: Collection[str]) -> None:
        self._space = space
        self._populations = frozenset(populations)
        self._starts: dict[tuple[str, int], SearchStarted] = {}
        self._watched: dict[tuple[str, int], Diagnostics] = {}

    @classmethod
    def of(cls, plan: SearchPlan) -> Greediness:
        """Return what diagnoses the populations of a plan."""
        specs = method_specs(plan.settings)
        return cls(plan.space, [name for name, spec in specs.items() if spec.kind == "population"])

    def take(self, record: AnyRecord) -> Diagnosis | None:
        """Process the next record of the run.

        Args:
            record: The record; those of each search come in order.

        Returns:
            The diagnosis of a generation, when this record gave it to the last member of a population; else None.

        Raises:
            JournalError: The record is damaged.
        """
        if isinstance(record, SearchStarted) and record.method in self._populations:
            search = record.method, record.seed
            epochs = record.budget_pairs / record.population / record.pairs_per_epoch
            self._starts[search] = record
            self._watched[search] = Diagnostics(self._space, record.population, epochs)
        elif isinstance(record, Assigned) and (record.method, record.seed) in self._watched:
            search = record.method, record.seed
            try:
                return self._watched[search].take(_assignment(record, self._starts[search]))
            except (KeyError, TypeError, ValueError):
                raise JournalError(
                    f"journal: {record.method}, seed {record.seed}, trial {record.trial}: its parent or values do not "
                    "fit what was recorded before; restore the journal from a copy"
                ) from None
        return None


def _assignment(record: Assigned, start: SearchStarted) -> Assignment:
    return Assignment(
        trial=record.trial,
        values=record.values,
        epochs=record.pairs / start.pairs_per_epoch,
        parent=record.parent,
        inherited=record.inherited,
        member=record.member,
        generation=record.generation,
        start=record.generation * start.interval_pairs / start.pairs_per_epoch,
    )
