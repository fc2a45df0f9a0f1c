"""FIRE PBT (Dalibard & Jaderberg 2021): a part of the population finds out who improves fastest."""

from __future__ import annotations

from nmt_pbt.search.methods.pbt import variant

FIRE_PBT = variant("fire-pbt", "FIRE-PBT", evaluators=0.25, significance=0.01)
"""A quarter evaluates, and takes over weights with the paper's significance."""
