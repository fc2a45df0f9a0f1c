"""The search methods: a file of each declares its settings and its `MethodSpec`; here they are listed.

Add a new one at the end: the order decides how methods look in figures, of reports that there are, too.
"""

from __future__ import annotations

from nmt_pbt.search.methods.ablations import EXPLOIT_ONLY, EXPLORE_ONLY
from nmt_pbt.search.methods.bayes import BAYES
from nmt_pbt.search.methods.fire import FIRE_PBT
from nmt_pbt.search.methods.grid import GRID
from nmt_pbt.search.methods.hyperband import HYPERBAND
from nmt_pbt.search.methods.ipbt import ITERATED_PBT
from nmt_pbt.search.methods.manual import MANUAL
from nmt_pbt.search.methods.pbt import PBT, VARIANTS
from nmt_pbt.search.methods.random import RANDOM
from nmt_pbt.search.methods.registry import register_method
from nmt_pbt.search.methods.replay import FINAL_VALUES, REPLAY

_ABLATIONS = (EXPLOIT_ONLY, EXPLORE_ONLY, REPLAY, FINAL_VALUES)
for spec in (PBT, RANDOM, GRID, BAYES, HYPERBAND, MANUAL, *_ABLATIONS, *VARIANTS, FIRE_PBT, ITERATED_PBT):
    register_method(spec)
