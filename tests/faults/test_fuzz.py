"""Files from outside that were tampered with: refused in one line, or read. No traceback, and no file elsewhere.

Well over 1,000 mutated settings files, corpora, journals, saved states and run directories, through the code that
`nmt-pbt` reads them with.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt_pbt.base.errors import NmtPbtError
from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import Run, load_run
from nmt_pbt.run.journal import Journal, read_journal
from nmt_pbt.run.preflight import check_engine, need_of
from nmt_pbt.settings.loading import dump_settings
from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import StateStore
from nmt_pbt.tasks.translation.corpus.prepared import check
from nmt_pbt.tasks.translation.footprint import state_bytes
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings, load_settings
from tests.report.fake_run import write_fake_run
from tests.run.cheap import CheapTask, cheap_settings, inline, opened, search


def fuzz(examples: int) -> settings:
    """Return how many examples are looked at, and that the file system is slow."""
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None)


@contextmanager
def refused_at_most() -> Iterator[None]:
    """Let through what the command line shows as one line; every other exception would be a traceback."""
    try:
        yield
    except NmtPbtError as error:
        if len(str(error).splitlines()) != 1:
            pytest.fail(f"more than a line: {error}")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["../../etc/passwd", "/etc", "a\0b", "<script>", "\u202e", "=cmd()", "1e999", "-0", ".nan", "~"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@st.composite
def mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """A file with a few pieces cut out, put in, doubled or overwritten."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(found)))
        length = draw(st.integers(0, 20))
        piece = draw(
            st.binary(max_size=8) | st.sampled_from([b"\n", b"\0", b"\xff", b"  ", b"- ", b": ", b"{", b"&a *a"])
        )
        match draw(st.integers(0, 3)):
            case 0:
                del found[start : start + length]
            case 1:
                found[start:start] = piece
            case 2:
                found[start:start] = found[start : start + length]
            case _:
                found[start : start + len(piece)] = piece
    return bytes(found)


@st.composite
def mutated_tree(draw: st.DrawFn, tree: Any) -> Any:
    """Plain data with one of its values, deep inside, replaced, removed or joined by another."""
    if not isinstance(tree, (dict, list)) or not tree or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    copied = dict(tree) if isinstance(tree, dict) else list(tree)
    key = draw(st.sampled_from(list(copied) if isinstance(copied, dict) else range(len(copied))))
    if draw(st.integers(0, 7)) == 0:
        del copied[key]
    elif isinstance(copied, dict) and draw(st.integers(0, 9)) == 0:
        copied[draw(st.text(max_size=8))] = draw(VALUES)
    else:
        copied[key] = draw(mutated_tree(copied[key]))
    return copied


def read_settings(path: Path) -> None:
    """Do with a settings file what `compare --config` does before TensorFlow is started."""
    with refused_at_most():
        found = load_settings(path)
        found.check_searches()
        check_engine(found.engine.model_copy(update={"address": None}))
        need_of(found, state_bytes(found, found.corpus.vocabulary_size))


EXAMPLES = [TranslationSettings().model_dump(mode="json")] + [
    yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
]


@fuzz(400)
@given(tree=st.sampled_from(EXAMPLES).flatmap(mutated_tree))
def test_settings_with_a_changed_value(tree: Any, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    read_settings(path)


@fuzz(300)
@given(data=mutated_bytes(dump_settings(TranslationSettings()).encode("utf-8")))
def test_settings_with_changed_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(data)
    read_settings(path)


LINES = "".join(f"A small line, number {number}.\n" for number in range(30)).encode("utf-8")
FILES = ("train.en", "train.de", "val.en", "val.de", "test.en", "test.de")


@fuzz(300)
@given(name=st.sampled_from(FILES), data=mutated_bytes(LINES), packed=st.sampled_from(["", "packed", "damaged"]))
def test_a_corpus_with_changed_bytes(name: str, data: bytes, packed: str, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in FILES:
        (folder / file).write_bytes(LINES)
    if packed:
        (folder / name).unlink()
        zipped = gzip.compress(data)
        (folder / f"{name}.gz").write_bytes(zipped if packed == "packed" else zipped[: len(zipped) // 2] + data[:9])
    else:
        (folder / name).write_bytes(data)
    with refused_at_most():
        check(load_settings(None, ["corpus.vocabulary_size=28"], {"corpus.name": str(folder)}).corpus, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    assert len(list(folder.iterdir())) == len(FILES)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run to tamper with."""
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    return write_fake_run(folder, ("pbt", "random"), population=4, epochs=3.0, sentences=80)


def tables_of(run: Run) -> None:
    """Read everything of a run that a report is made from."""
    for name, member in vars(Run).items():
        if hasattr(member, "__set_name__") and not name.startswith("_"):
            getattr(run, name)


def read_run(folder: Path) -> None:
    with refused_at_most():
        tables_of(load_run(folder))


@pytest.fixture
def tampered(original: Path, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "run"
    shutil.copytree(original, folder)
    yield folder
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def restored(original: Path, folder: Path) -> Path:
    shutil.rmtree(folder)
    shutil.copytree(original, folder)
    return folder


@fuzz(80)
@given(data=st.data())
def test_a_run_with_changed_bytes_in_a_file(data: st.DataObject, original: Path, tampered: Path) -> None:
    folder = restored(original, tampered)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = data.draw(st.sampled_from(files))
    file.write_bytes(data.draw(mutated_bytes(file.read_bytes())))
    read_run(folder)


def change_journal(data: st.DataObject, original: Path, folder: Path) -> None:
    """Write a journal with a record removed, doubled, moved, or changed in one of its values."""
    path = folder / "journal.jsonl"
    lines = (original / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    match data.draw(st.integers(0, 4)):
        case 0:
            del lines[number]
        case 1:
            lines.insert(data.draw(st.integers(0, len(lines))), lines[number])
        case 2:
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[number], lines[other] = lines[other], lines[number]
        case _:
            record = json.loads(lines[number])
            key = data.draw(st.sampled_from(list(record)))
            near = st.sampled_from(
                ["0001", "0007", "random", "pbt", 0, 1, -1, 3, 1e300, "completed", "failed", None, True]
            )
            record[key] = data.draw(near | mutated_tree(record[key]))
            lines[number] = json.dumps(record)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", errors="surrogatepass")


@fuzz(100)
@given(data=st.data())
def test_a_run_with_a_changed_value_in_its_journal(data: st.DataObject, original: Path, tampered: Path) -> None:
    change_journal(data, original, tampered)
    read_run(tampered)


@fuzz(50)
@given(data=st.data())
def test_a_run_with_a_changed_value_in_its_settings_or_samples(
    data: st.DataObject, original: Path, tampered: Path
) -> None:
    folder = restored(original, tampered)
    name = data.draw(st.sampled_from(["settings.yaml", "environment.json", "translations/sample.json"]))
    tree = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    text = json.dumps(data.draw(mutated_tree(tree)))
    (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
    read_run(folder)


@fuzz(3)
@given(data=st.data())
def test_a_report_of_a_run_with_a_changed_value_in_its_journal(
    data: st.DataObject, original: Path, tampered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt_pbt.report.figures.style._png", lambda figure: b"")  # as SVG they are drawn all the same
    change_journal(data, original, tampered)
    outside = sorted(tampered.parent.iterdir())
    with refused_at_most():
        write_report(tampered)
    assert sorted(tampered.parent.iterdir()) == outside


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("settings.yaml", b"search: {space: 3}", "search.space is damaged"),
        ("settings.yaml", b"search: {space: [dropout]}", "search.space is damaged"),
        ("settings.yaml", b"search: {space: {dropout: 0.1}}", "search.space.dropout is damaged"),
        ("settings.yaml", b"search: {space: {dropout: null}}", "search.space.dropout is damaged"),
        ("translations/pbt-seed0.counts.csv", b"\xff\xfe", "damaged"),
        ("translations/pbt-seed0.counts.csv", b"a" * 200_000, "damaged"),
        ("translations/pbt-seed0.txt", b"\xe4", "not UTF-8"),
        ("translations/sample.json", b"[" * 100_000, "not a list"),
        ("environment.json", b"[" * 100_000, "not valid JSON"),
        ("journal.jsonl", b"\xff\n", "line 1: damaged"),
    ],
)
def test_what_is_damaged_is_named(original: Path, tampered: Path, file: str, content: bytes, told: str) -> None:
    (tampered / file).write_bytes(content)
    with pytest.raises(NmtPbtError) as refused:
        tables_of(load_run(tampered))
    assert f"{tampered / file}" in str(refused.value)
    assert told in str(refused.value)


@fuzz(150)
@given(data=st.data())
def test_a_journal_that_is_opened_to_go_on(data: st.DataObject, original: Path, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(data.draw(mutated_bytes((original / "journal.jsonl").read_bytes())))
    before = path.read_bytes()
    with refused_at_most(), Journal(path) as journal:
        assert journal.records == read_journal(path)
    assert before.startswith(path.read_bytes())  # only a torn last line is cut off


@fuzz(200)
@given(data=st.data())
def test_a_saved_state_with_changed_bytes(data: st.DataObject, tmp_path: Path) -> None:
    arrays = {"weights/w": np.arange(12.0, dtype=np.float32).reshape(3, 4), "optimizer/m": np.zeros(4)}
    store = StateStore(tmp_path)
    content = store.save("a", MemberState(arrays, 7))
    whole = (tmp_path / "a.safetensors").read_bytes()
    changed = data.draw(mutated_bytes(whole))
    (tmp_path / "a.safetensors").write_bytes(changed)
    state = None
    with refused_at_most():
        state = store.load("a", content)
    if state is None:
        assert changed != whole
    else:
        assert state.age == 7
        for name, array in arrays.items():
            np.testing.assert_array_equal(state.arrays[name], array)


@pytest.fixture(scope="module")
def half_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a trainable that costs nothing, killed half way through its search."""
    folder = tmp_path_factory.mktemp("half")
    with opened(folder) as journal:
        search("pbt", cheap_settings(), CheapTask(), inline(folder, CheapTask()), journal)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    return folder


@fuzz(40)
@given(data=st.data())
def test_a_search_that_goes_on_from_a_changed_journal(data: st.DataObject, half_done: Path, tmp_path: Path) -> None:
    change_journal(data, half_done, tmp_path)
    shutil.rmtree(tmp_path / "states", ignore_errors=True)
    with refused_at_most(), opened(tmp_path) as journal:
        search("pbt", cheap_settings(), CheapTask(), inline(tmp_path, CheapTask()), journal)
