"""How greedy each population of a run is, from the journal's records, also while a search is under way."""

from __future__ import annotations

from nmt_pbt.run.journal import AnyRecord, Assigned, SearchStarted
from nmt_pbt.search.assignment import Assignment
from nmt_pbt.search.diagnostics import Diagnosis, Diagnostics
from nmt_pbt.search.methods.registry import method_specs
from nmt_pbt.search.plan import SearchPlan


class Greediness:
    """Diagnoses every population of a run, record by record.

    Args:
        plan: What the run searches, by which methods.
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._space = plan.space
        specs = method_specs(plan.settings)
        self._populations = {name for name, spec in specs.items() if spec.kind == "population"}
        self._starts: dict[tuple[str, int], SearchStarted] = {}
        self._watched: dict[tuple[str, int], Diagnostics] = {}

    def take(self, record: AnyRecord) -> Diagnosis | None:
        """Take in the next record of the run.

        Args:
            record: The record; those of each search come in order.

        Returns:
            The diagnosis of a generation, when this record gave it to the last member of a population; else None.
        """
        if isinstance(record, SearchStarted) and record.method in self._populations:
            search = record.method, record.seed
            epochs = record.budget_pairs / record.population / record.pairs_per_epoch
            self._starts[search] = record
            self._watched[search] = Diagnostics(self._space, record.population, epochs)
        elif isinstance(record, Assigned) and (record.method, record.seed) in self._watched:
            search = record.method, record.seed
            return self._watched[search].take(_assignment(record, self._starts[search]))
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
