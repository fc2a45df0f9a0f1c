"""The exploit strategy `bootstrap`: members are compared sentence by sentence, not by one score each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.search.population.exploit import Adoption, Standings, check_significance, copy_of, draw_rival
from nmt_pbt.tasks.translation.scoring.significance import Counts, corpus_scores, paired_bootstrap, unpack_counts

EVIDENCE = "sentence_counts"
"""What the strategy decides by: counts of each dev sentence, of which BLEU is made."""


@dataclass
class Bootstrap:
    """Paired bootstrap on the sentences of the dev split (Koehn 2004): a member meets one other, drawn evenly.

    It adopts if the other's BLEU is higher, significantly so. The counts of each sentence have to be reported for every
    trial, by `report`, before the trial ends.

    Attributes:
        significance: Largest two-sided p-value that counts as a difference.
        samples: Resamples of the dev split.
    """

    significance: float = 0.05
    samples: int = 1000
    looks_back = False
    evidence = EVIDENCE
    _counts: dict[str, Counts] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_significance(self.significance)
        if self.samples < 100:
            raise UsageError(f"exploit samples {self.samples}; a bootstrap takes at least 100")

    def report(self, trial: str, evidence: str) -> None:
        """Record the counts that BLEU of a trial's translations is made of.

        Args:
            trial: The trial's id.
            evidence: As packed by `nmt_pbt.tasks.translation.scoring.significance.pack_counts`.
        """
        self._counts[trial] = np.asarray(unpack_counts("bleu", evidence), dtype=np.int64)

    def keep(self, trials: set[str]) -> None:
        """Forget the counts of all other trials."""
        self._counts = {trial: counts for trial, counts in self._counts.items() if trial in trials}

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        """Return the rival's state, or None; see `Exploit`.

        Raises:
            SearchError: The counts of a trial were never reported.
        """
        rival = draw_rival(member, standings, random)
        if rival is None:
            return None
        mine, other = (self._counts_of(standings.state(who).trial) for who in (member, rival))
        own, others = corpus_scores("bleu", np.stack([mine.sum(axis=0), other.sum(axis=0)]))
        if others <= own:
            return None  # resampling, which takes ten milliseconds, would not make it better
        result = paired_bootstrap("bleu", other, mine, random, self.samples)
        return copy_of(standings.state(rival)) if result.p_value < self.significance else None

    def _counts_of(self, trial: str) -> Counts:
        if trial not in self._counts:
            raise SearchError(
                f"exploit bootstrap: no sentence counts of trial {trial}; tell the oracle by report_evidence, or use "
                "another one (truncation, tournament, ttest, backtrack)"
            )
        return self._counts[trial]

    def get_state(self) -> dict[str, Any]:
        """Return the counts, as JSON."""
        return {trial: counts.tolist() for trial, counts in self._counts.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._counts = {trial: np.asarray(counts, dtype=np.int64) for trial, counts in state.items()}
