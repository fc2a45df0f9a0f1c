"""Named randomness: every draw comes from (seed, purpose, key), never from a global generator.

Two draws with different purposes never share a stream, so adding one draw somewhere changes no other draw.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def derive_seed(seed: int, purpose: str, *keys: str | int) -> int:
    """Return a 63-bit seed for one purpose.

    Args:
        seed: The run's seed; 0 is a seed like any other.
        purpose: What the draw is for, for instance `"exploit"`.
        *keys: What tells this draw from others of its purpose, for instance a trial's id.

    Returns:
        A non-negative integer below 2**63, the same on every machine.
    """
    text = "\x1f".join([str(int(seed)), purpose, *(str(key) for key in keys)])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, *keys: str | int) -> np.random.Generator:
    """Return a NumPy generator for one purpose; see `derive_seed` for the arguments."""
    import numpy as np  # 0.1 s, which what only reads settings need not pay

    return np.random.Generator(np.random.PCG64(derive_seed(seed, purpose, *keys)))
