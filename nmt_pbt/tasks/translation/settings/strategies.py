"""The exploit strategies that read what only translation has: counts of each dev sentence."""

from __future__ import annotations

from typing import Any

from nmt_pbt.search.population.exploit import Exploit
from nmt_pbt.search.population.strategies import ExploitSpec, register_exploit


def _bootstrap(**settings: Any) -> Exploit:
    from nmt_pbt.tasks.translation.scoring.bootstrap import (
        Bootstrap,  # brings NumPy along, which refusals need not wait for
    )

    return Bootstrap(**settings)


register_exploit(
    ExploitSpec(
        "bootstrap",
        "as `tournament`, when BLEU differs significantly over resampled dev sentences",
        _bootstrap,
        settings=("significance",),
        objectives=("val_bleu",),
    )
)
