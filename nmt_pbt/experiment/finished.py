"""Whether a run has anything left to do, told from its journal alone."""

from __future__ import annotations

from collections.abc import Sequence

from nmt_pbt.journal import AnyRecord, Evaluated, SearchEnded, Tested
from nmt_pbt.method_names import REPLAYS
from nmt_pbt.settings import Settings


def is_finished(records: Sequence[AnyRecord], settings: Settings) -> bool:
    """Tell whether every search of a run is over, and its winner tested if it has one.

    Args:
        records: The journal's records.
        settings: What the run is to go on with, which may name more methods and seeds than it was begun with.

    Returns:
        False also for a run without any winner, which is an error that whoever goes on with it is told.
    """
    tested = {(record.method, record.seed) for record in records if isinstance(record, Tested)}
    with_winner = {(r.method, r.seed) for r in records if isinstance(r, Evaluated) and r.failure is None}
    over = tested | {(r.method, r.seed) for r in records if isinstance(r, SearchEnded)} - with_winner
    seeds = range(settings.seed, settings.seed + settings.search.seeds)
    if not settings.search.replay.schedule:  # then there is nothing to replay where PBT has found nothing
        over |= {(name, seed) for name in REPLAYS for seed in seeds if ("pbt", seed) in over - tested}
    return bool(tested) and all((name, seed) in over for name in settings.search.methods for seed in seeds)
