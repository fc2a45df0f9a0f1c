"""Names of the methods, apart from what they are: help texts and reports name them without building any."""

from __future__ import annotations

REPLAYS = ("replay", "final-values")
"""Methods that train from fresh weights by what `pbt` found: they need its search of the same seed, or a schedule."""
CONTROLS = ("exploit-only", "explore-only", *REPLAYS)
"""Methods that leave out a part of PBT, to tell what that part is worth."""
POPULATION_METHODS = ("pbt", "exploit-only", "explore-only")
"""Methods whose members train on while their values change."""
METHODS = ("pbt", "random", "grid", "bayes", "hyperband", "manual", *CONTROLS)
"""Every method."""
