"""Named randomness: the same name gives the same draws everywhere, another name gives others."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from nmt_pbt.base.randomness import derive_seed, generator

KEYS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8) | st.integers(), max_size=3)
SEEDS = st.integers(0, 2**63 - 1)


@given(seed=SEEDS, purpose=st.text(st.characters(codec="utf-8"), max_size=8), keys=KEYS)
def test_a_derived_seed_is_the_same_each_time_and_fits_63_bits(seed: int, purpose: str, keys: list[str | int]) -> None:
    got = derive_seed(seed, purpose, *keys)
    assert got == derive_seed(seed, purpose, *keys)
    assert type(got) is int
    assert 0 <= got < 2**63


def test_a_derived_seed_is_the_same_on_every_machine_and_version() -> None:
    # The first 16 digits of: printf '0\x1fexploit' | sha256sum
    assert derive_seed(0, "exploit") == 0x671EDB8024E1BB9D >> 1
    assert derive_seed(1, "explore", "trial-7", 3) == 0xE413CC2FE0E43D8C >> 1


def test_draws_are_the_same_in_another_process_whatever_its_hash_seed() -> None:
    program = (
        "from nmt_pbt.base.randomness import generator; "
        "print(generator(3, 'explore', 'a', 1).integers(0, 2**62, 4).tolist())"
    )
    here = generator(3, "explore", "a", 1).integers(0, 2**62, 4).tolist()
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(here)


@given(
    one=st.tuples(SEEDS, st.sampled_from(["exploit", "explore", "data"]), st.integers(0, 50)),
    two=st.tuples(SEEDS, st.sampled_from(["exploit", "explore", "data"]), st.integers(0, 50)),
)
def test_another_seed_purpose_or_key_gives_another_stream(one: tuple[int, str, int], two: tuple[int, str, int]) -> None:
    assume(one != two)
    assert derive_seed(*one) != derive_seed(*two)
    assert generator(*one).random(4).tolist() != generator(*two).random(4).tolist()


def test_where_one_key_ends_and_the_next_begins_matters() -> None:
    names = [("ab",), ("a", "b"), ("", "ab"), ("ab", ""), ("a", "", "b"), ("a b",), ()]
    seeds = [derive_seed(0, "purpose", *keys) for keys in names]
    assert len(set(seeds)) == len(names)
    assert derive_seed(1, "1") != derive_seed(11, "")


def test_seed_zero_is_a_seed_like_any_other() -> None:
    assert generator(0, "exploit").random(3).tolist() == generator(0, "exploit").random(3).tolist()
    assert derive_seed(0, "exploit") != derive_seed(1, "exploit")


def test_a_numpy_integer_names_the_same_stream_as_the_plain_one() -> None:
    assert derive_seed(np.int64(5), "data", np.int32(2)) == derive_seed(5, "data", 2)  # type: ignore[arg-type]


def test_a_draw_leaves_the_global_generator_and_every_other_stream_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is the one that must stay untouched
    other = generator(0, "explore").random(3).tolist()
    generator(0, "exploit").random(1000)
    assert generator(0, "explore").random(3).tolist() == other
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_streams_with_neighbouring_names_are_unrelated() -> None:
    draws = np.stack(
        [generator(seed, "explore", trial).random(2000) for seed, trial in itertools.product(range(4), repeat=2)]
    )
    correlations = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    # 120 pairs of 2,000 independent draws: the largest correlation stays below 4.5 standard errors.
    assert np.abs(correlations).max() < 4.5 / np.sqrt(2000)
    assert np.abs(draws.mean(axis=1) - 0.5).max() < 4.5 * np.sqrt(1 / 12 / 2000)
