"""Exploit strategies that adopt from a better member only when the difference is significant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt_pbt.errors import SearchError, UsageError
from nmt_pbt.search.exploit import Adoption, Standings, draw_rival, whole
from nmt_pbt.search.member import KEPT_EVALUATIONS
from nmt_pbt.search.memoryless import Memoryless

if TYPE_CHECKING:
    from nmt_pbt.significance import Counts


@dataclass(frozen=True)
class TTest(Memoryless):
    """Welch's t-test: a member meets one other, drawn evenly (Jaderberg et al. 2017, section 3.2.1).

    It adopts if the other's mean over its last evaluations is higher, significantly so.

    Attributes:
        significance: Largest one-sided p-value that counts as a difference.
        evaluations: How many of the last evaluations along a lineage are compared.
    """

    significance: float = 0.05
    evaluations: int = 5
    looks_back = False

    def __post_init__(self) -> None:
        _check_significance(self.significance)
        if not 2 <= self.evaluations <= KEPT_EVALUATIONS:
            raise UsageError(
                f"exploit evaluations {self.evaluations}; a t-test takes at least 2, and {KEPT_EVALUATIONS} are kept"
            )

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        """Return the rival's state, or None; see `Exploit`."""
        rival = draw_rival(member, standings, random)
        if rival is None:
            return None
        mine, other = (standings.state(who).evaluations[-self.evaluations :] for who in (member, rival))
        return whole(standings.state(rival)) if welch_p_value(other, mine) < self.significance else None


def welch_p_value(higher: tuple[float, ...], lower: tuple[float, ...]) -> float:
    """Return the one-sided p-value of Welch's t-test that the first sample's mean is higher than the second's.

    Args:
        higher: A sample.
        lower: Another one.

    Returns:
        From 0 to 1; 1 when a sample has fewer than two values. Without any variance it is 0 or 1.
    """
    if min(len(higher), len(lower)) < 2:
        return 1.0
    from scipy.special import stdtr

    difference = float(np.mean(higher) - np.mean(lower))
    parts = [float(np.var(sample, ddof=1)) / len(sample) for sample in (higher, lower)]
    error = sum(parts)
    if error <= 1e-24 * max(1.0, difference**2):
        return 0.0 if difference > 0 else 1.0
    freedom = error**2 / sum(part**2 / (len(sample) - 1) for part, sample in zip(parts, (higher, lower), strict=True))
    return float(stdtr(freedom, -difference / error**0.5))


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
    _counts: dict[str, Counts] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _check_significance(self.significance)
        if self.samples < 100:
            raise UsageError(f"exploit samples {self.samples}; a bootstrap takes at least 100")

    def report(self, trial: str, counts: Counts) -> None:
        """Take in what BLEU of a trial's translations is made of.

        Args:
            trial: The trial's id.
            counts: As of `nmt_pbt.significance.sentence_counts`, [sentences, 10].
        """
        self._counts[trial] = np.asarray(counts, dtype=np.int64)

    def keep(self, trials: set[str]) -> None:
        """Forget the counts of all other trials."""
        self._counts = {trial: counts for trial, counts in self._counts.items() if trial in trials}

    def choose(self, member: int, standings: Standings, random: np.random.Generator) -> Adoption | None:
        """Return the rival's state, or None; see `Exploit`.

        Raises:
            SearchError: The counts of a trial were never reported.
        """
        from nmt_pbt.significance import corpus_scores, paired_bootstrap

        rival = draw_rival(member, standings, random)
        if rival is None:
            return None
        mine, other = (self._counts_of(standings.state(who).trial) for who in (member, rival))
        own, others = corpus_scores("bleu", np.stack([mine.sum(axis=0), other.sum(axis=0)]))
        if others <= own:
            return None  # resampling, which takes ten milliseconds, would not make it better
        result = paired_bootstrap("bleu", other, mine, random, self.samples)
        return whole(standings.state(rival)) if result.p_value < self.significance else None

    def _counts_of(self, trial: str) -> Counts:
        if trial not in self._counts:
            raise SearchError(
                f"exploit bootstrap: no sentence counts of trial {trial}; tell the oracle by report_counts, or use "
                "another one (truncation, tournament, ttest, backtrack)"
            )
        return self._counts[trial]

    def get_state(self) -> dict[str, Any]:
        """Return the counts, as JSON."""
        return {trial: counts.tolist() for trial, counts in self._counts.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `get_state` returned."""
        self._counts = {trial: np.asarray(counts, dtype=np.int64) for trial, counts in state.items()}


def _check_significance(significance: float) -> None:
    if not 0 < significance < 1:
        raise UsageError(f"exploit significance {significance:g}; it has to be between 0 and 1")
