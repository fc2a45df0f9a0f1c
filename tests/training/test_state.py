from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from nmt_pbt.base.errors import StateError, UsageError
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore, content_hash


def make_state(age: int = 7, shift: float = 0.0) -> MemberState:
    arrays = {
        "weights/zebra": np.arange(6, dtype=np.float32).reshape(2, 3) + np.float32(shift),
        "weights/ant": np.zeros(0, np.float32),
        "optimizer/iterations": np.asarray(3, np.int64),
        "generator/key": np.asarray(2**62 + 1, np.int64),
        "values/learning_rate": np.asarray(0.1),
    }
    return MemberState(arrays, age)


def test_a_state_comes_back_as_it_was_saved_in_its_order(tmp_path):
    store = StateStore(tmp_path / "states")
    saved = store.save("trial-1", make_state())
    loaded = store.load("trial-1", saved)
    assert list(loaded.arrays) == list(make_state().arrays)
    assert loaded.age == 7
    for name, array in make_state().arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].shape == array.shape
        assert np.array_equal(loaded.arrays[name], array)
    assert content_hash(loaded) == saved == content_hash(make_state())


@pytest.mark.parametrize(
    "other",
    [
        make_state(age=8),
        make_state(shift=1e-7 * 4),
        MemberState({name.replace("ant", "bee"): array for name, array in make_state().arrays.items()}, 7),
        MemberState({**make_state().arrays, "weights/zebra": make_state().arrays["weights/zebra"].reshape(3, 2)}, 7),
        MemberState({**make_state().arrays, "optimizer/iterations": np.asarray(3, np.int32)}, 7),
        MemberState(dict(reversed(make_state().arrays.items())), 7),
    ],
    ids=["age", "value", "name", "shape", "type", "order"],
)
def test_the_hash_tells_any_difference(other):
    assert content_hash(other) != content_hash(make_state())


def test_a_view_that_is_not_contiguous_is_saved_by_its_values(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    store = StateStore(tmp_path)
    store.save("view", MemberState({"weights/a": array}, 0))
    assert np.array_equal(store.load("view").arrays["weights/a"], array)


def test_a_missing_state_is_named(tmp_path):
    with pytest.raises(StateError, match=r"gone\.safetensors: .*missing"):
        StateStore(tmp_path).load("gone")


def test_every_truncation_and_many_flipped_bits_are_found(tmp_path):
    store = StateStore(tmp_path)
    store.save("a", make_state())
    path = tmp_path / "a.safetensors"
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError, match=r"a\.safetensors"):
            store.load("a")
    start = len(whole) - sum(array.nbytes for array in make_state().arrays.values())
    for position in range(start, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(StateError, match=r"a\.safetensors"):
            store.load("a")


def test_another_state_than_the_one_asked_for_is_refused(tmp_path):
    store = StateStore(tmp_path)
    store.save("a", make_state())
    with pytest.raises(StateError, match="not 0123"):
        store.load("a", "0123" * 16)


def test_keep_deletes_all_others_and_leftovers(tmp_path):
    store = StateStore(tmp_path)
    for name in ("a", "b", "c"):
        store.save(name, make_state())
    (tmp_path / ".d.safetensors.99.tmp").write_bytes(b"torn")
    (tmp_path / "note.txt").write_text("mine")
    store.keep({"b", "not there"})
    assert store.names() == {"b"}
    assert store.exists("b")
    assert not store.exists("a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.safetensors", "note.txt"]


def test_a_failed_save_leaves_the_old_state_and_nothing_else(tmp_path, monkeypatch):
    store = StateStore(tmp_path)
    saved = store.save("a", make_state())

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt_pbt.base.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.save("a", make_state(age=8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert content_hash(store.load("a")) == saved


@pytest.mark.parametrize("name", ["", "../a", "a/b", "/etc/x", ".hidden", "a\0", "a\nb", "x" * 300])
def test_a_name_that_is_not_a_plain_file_name_is_refused(tmp_path, name):
    store = StateStore(tmp_path)
    for use in (store.load, store.exists, lambda name: store.save(name, make_state())):
        with pytest.raises(UsageError, match="state name"):
            use(name)


def test_an_empty_store_has_no_names(tmp_path):
    store = StateStore(tmp_path / "none")
    assert store.names() == set()
    store.keep(set())
    assert not (tmp_path / "none").exists()


def test_importing_it_does_not_import_tensorflow():
    code = "import sys, nmt_pbt.tasks.state; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
