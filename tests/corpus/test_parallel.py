from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.tasks.translation.corpus.parallel import Corpus, ParallelText, read_folder, read_pair

ONE = ParallelText(("a",), ("b",))


def write_corpus(folder: Path, lines: int = 3, compress: bool = False, dev: str = "val", test: str = "test") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", dev, test):
        for language in ("en", "de"):
            text = "".join(f"{split} {language} {line}\n" for line in range(lines)).encode()
            if compress:
                (folder / f"{split}.{language}.gz").write_bytes(gzip.compress(text))
            else:
                (folder / f"{split}.{language}").write_bytes(text)
    return folder


def read_bytes(folder: Path, source: bytes, target: bytes) -> tuple[ParallelText, int]:
    (folder / "x.en").write_bytes(source)
    (folder / "x.de").write_bytes(target)
    return read_pair(folder / "x.en", folder / "x.de")


def test_pairs_are_read_line_by_line(tmp_path: Path) -> None:
    text, dropped = read_bytes(tmp_path, b"a\nb\n", "ä\nß\n".encode())
    assert (text.source, text.target, dropped) == (("a", "b"), ("ä", "ß"), 0)
    assert len(text) == 2


def test_only_line_ends_are_stripped(tmp_path: Path) -> None:
    text, _ = read_bytes(tmp_path, b" a \r\n\tb\n", b"c\n d")
    assert text.source == (" a ", "\tb")
    assert text.target == ("c", " d")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    text, _ = read_bytes(tmp_path, b"\xef\xbb\xbfa\n", b"b\n")
    assert text.source == ("a",)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_nothing_but_a_line_feed_ends_a_line(tmp_path: Path, separator: str) -> None:
    text, _ = read_bytes(tmp_path, f"a{separator}b\nc\n".encode(), b"d\ne\n")
    assert text.source == (f"a{separator}b", "c")


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b""])
def test_carriage_returns_alone_end_the_lines_of_a_file_without_line_feeds_and_that_is_told(
    tmp_path: Path, end: bytes
) -> None:
    (tmp_path / "x.en").write_bytes(b"a\rb\r\rd" + end)
    (tmp_path / "x.de").write_bytes(b"1\n2\n3\n4\n")
    notes: list[str] = []
    text, dropped = read_pair(tmp_path / "x.en", tmp_path / "x.de", notes.append)
    assert (text.source, text.target, dropped) == (("a", "b", "d"), ("1", "2", "4"), 1)
    assert notes == [f"{tmp_path / 'x.en'}: no line feeds, so that its carriage returns end 4 lines"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_what_ends_a_line_for_some_programs_is_told(tmp_path: Path, separator: str) -> None:
    (tmp_path / "x.en").write_text(f"a{separator}b\r\nc\r\n", newline="")
    (tmp_path / "x.de").write_text("1\n2\n")
    notes: list[str] = []
    read_pair(tmp_path / "x.en", tmp_path / "x.de", notes.append)
    code = f"U+{ord(separator):04X}"
    assert notes == [f"{tmp_path / 'x.en'}: 1 line with {code} inside, which ends a line for some programs, not here"]
    (tmp_path / "x.de").write_text("1\n2\n3\n")
    with pytest.raises(UsageError, match=rf"has 2 lines, .* has 3; .*1 line with {code.replace('+', '[+]')} inside"):
        read_pair(tmp_path / "x.en", tmp_path / "x.de")


def test_a_blank_line_on_either_side_drops_the_pair_and_keeps_the_alignment(tmp_path: Path) -> None:
    text, dropped = read_bytes(tmp_path, b"1\n\n3\n4\n5\n", b"i\nii\n \t\niv\nv\n")
    assert text.source == ("1", "4", "5")
    assert text.target == ("i", "iv", "v")
    assert dropped == 2


@given(st.lists(st.tuples(st.sampled_from(["", " ", "a", "b c"]), st.sampled_from(["", "\u00a0", "x", "y z"]))))
def test_whatever_is_blank_pairs_stay_together(tmp_path_factory: pytest.TempPathFactory, pairs: list) -> None:
    folder = tmp_path_factory.mktemp("blank")
    expected = [pair for pair in pairs if pair[0].strip() and pair[1].strip()]
    source, target = ("".join(pair[side] + "\n" for pair in pairs).encode() for side in (0, 1))
    if not expected:
        with pytest.raises(UsageError):
            read_bytes(folder, source, target)
    else:
        text, dropped = read_bytes(folder, source, target)
        assert list(zip(text.source, text.target, strict=True)) == expected
        assert dropped == len(pairs) - len(expected)


def test_unequal_lengths_name_both_counts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.en has 3 lines, .*x\.de has 2"):
        read_bytes(tmp_path, b"1\n2\n3\n", b"1\n2\n")


@pytest.mark.parametrize(("source", "target", "name"), [(b"", b"a\n", "x.en"), (b"a\n", b"", "x.de")])
def test_an_empty_file_is_refused_by_name(tmp_path: Path, source: bytes, target: bytes, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}: the file is empty"):
        read_bytes(tmp_path, source, target)


def test_nothing_but_blank_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every pair has a blank line"):
        read_bytes(tmp_path, b"\na\n", b"b\n\n")


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.de, line 3: not UTF-8"):
        read_bytes(tmp_path, b"1\n2\n3\n", b"1\n2\nf\xfcnf\n")


def test_a_line_number_counts_after_a_byte_order_mark(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.en, line 2: not UTF-8"):
        read_bytes(tmp_path, b"\xef\xbb\xbf1\n\xff\n", b"1\n2\n")


def test_a_nul_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.en, line 2: holds a NUL"):
        read_bytes(tmp_path, b"1\na\0b\n", b"1\n2\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.en: no such file"):
        read_pair(tmp_path / "nowhere.en", tmp_path / "nowhere.de")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_pair(tmp_path, tmp_path)


def test_a_text_in_another_language_than_asked_for_is_named(tmp_path: Path) -> None:
    for name in ("train.en", "train.zh"):
        (tmp_path / name).write_text("a\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"train\.de not found, .* or set corpus\.target_language .* to zh$"):
        read_folder(tmp_path, "en", "de")


@pytest.mark.parametrize("damage", [slice(0, -9), slice(5, None), slice(0, 0)], ids=["cut off", "no header", "empty"])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, damage: slice) -> None:
    good = gzip.compress(b"a line\n" * 100)
    (tmp_path / "x.en.gz").write_bytes(good[damage])
    (tmp_path / "x.de.gz").write_bytes(good)
    with pytest.raises(UsageError, match=r"x\.en\.gz: (damaged gzip|the file is empty)"):
        read_pair(tmp_path / "x.en.gz", tmp_path / "x.de.gz")


def test_a_file_is_compressed_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.en").write_bytes(gzip.compress(b"one\ntwo\n"))
    (tmp_path / "x.de").write_bytes(b"eins\nzwei\n")
    pairs, _ = read_pair(tmp_path / "x.en", tmp_path / "x.de")
    assert list(pairs.source) == ["one", "two"]


def test_a_temporary_folder_without_room_is_not_taken_for_a_damaged_file(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    (tmp_path / "x.en.gz").write_bytes(gzip.compress(b"a line of text\n" * 1_000_000))
    with pytest.raises(UsageError, match=r"x\.en\.gz: temporary files cannot hold it unpacked \(No space left"):
        read_pair(tmp_path / "x.en.gz", tmp_path / "x.en.gz")


def test_a_flipped_bit_in_a_gzip_file_is_refused(tmp_path: Path) -> None:
    good = bytearray(gzip.compress(b"a line\n" * 100))
    good[len(good) // 2] ^= 16
    (tmp_path / "x.gz").write_bytes(good)
    with pytest.raises(UsageError, match="damaged gzip"):
        read_pair(tmp_path / "x.gz", tmp_path / "x.gz")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dev", ["val", "dev", "valid", "validation"])
def test_a_folder_is_read_plain_or_compressed(tmp_path: Path, compress: bool, dev: str) -> None:
    corpus = read_folder(write_corpus(tmp_path / "mine", compress=compress, dev=dev), "en", "de")
    assert corpus.name == "mine"
    assert (corpus.source_language, corpus.target_language) == ("en", "de")
    assert corpus.train.source == ("train en 0", "train en 1", "train en 2")
    assert corpus.dev.target == (f"{dev} de 0", f"{dev} de 1", f"{dev} de 2")
    assert corpus.test.target == ("test de 0", "test de 1", "test de 2")
    assert corpus.dropped == {}
    assert corpus.test_set == "test"


def test_the_languages_may_be_taken_the_other_way_round(tmp_path: Path) -> None:
    corpus = read_folder(write_corpus(tmp_path), "de", "en")
    assert corpus.train.source[0] == "train de 0"


def test_where_plain_and_compressed_are_there_the_plain_one_is_read(tmp_path: Path) -> None:
    write_corpus(tmp_path, lines=2, compress=True)
    assert len(read_folder(write_corpus(tmp_path, lines=3), "en", "de").train) == 3


def test_of_several_test_sets_the_first_by_name_is_taken_and_told(tmp_path: Path) -> None:
    write_corpus(tmp_path, test="test_2017")
    write_corpus(tmp_path, test="test_2016", compress=True)
    corpus = read_folder(tmp_path, "en", "de")
    assert corpus.test_set == "test_2016"
    assert corpus.test.source[0] == "test_2016 en 0"


def test_every_complete_test_set_is_read(tmp_path: Path) -> None:
    for name in ("test_2017_flickr", "newstest2014", "tst2013", "test.coco"):
        write_corpus(tmp_path, test=name)
    write_corpus(tmp_path, test="test_2016_flickr", compress=True)
    corpus = read_folder(tmp_path, "en", "de")
    assert list(corpus.tests) == ["test.coco", "test_2016_flickr", "test_2017_flickr", "newstest2014", "tst2013"]
    assert {name: text.source[0] for name, text in corpus.tests.items()} == {
        name: f"{name} en 0" for name in corpus.tests
    }
    named = read_folder(tmp_path, "en", "de", "test_2017_flickr")
    assert (named.test_set, named.test) == ("test_2017_flickr", corpus.tests["test_2017_flickr"])
    assert set(named.tests) == set(corpus.tests)
    with pytest.raises(UsageError, match="no test set 'test_2018_flickr'; did you mean 'test_201"):
        read_folder(tmp_path, "en", "de", "test_2018_flickr")


def test_what_is_incomplete_is_told_where_there_is_a_complete_one(tmp_path: Path) -> None:
    write_corpus(tmp_path, test="test2016")
    for name in ("test.backup.en", "dev.de"):
        (tmp_path / name).write_text("a\n")
    corpus = read_folder(tmp_path, "en", "de")
    assert list(corpus.tests) == ["test2016"]
    assert corpus.notes == (
        f"{tmp_path}: dev.en not found, so that its translation is left out",
        f"{tmp_path}: test.backup.de not found, so that its translation is left out",
    )


def test_a_second_test_set_that_cannot_be_read_is_left_out_and_a_second_dev_split_is_not_read(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    write_corpus(tmp_path, dev="valid", test="test2")
    (tmp_path / "test2.de").write_text("a\n")
    corpus = read_folder(tmp_path, "en", "de")
    assert list(corpus.tests) == ["test"]
    assert corpus.notes[0] == f"{tmp_path}: valid is not read, the dev split is val"
    assert corpus.notes[1].startswith("test set test2 is left out: ")
    assert "has 3 lines" in corpus.notes[1]


def test_dropped_pairs_are_counted_by_split(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "val.en").write_text("a\n\nb\n")
    corpus = read_folder(tmp_path, "en", "de")
    assert corpus.dropped == {"dev": 1}
    assert corpus.dev.target == ("val de 0", "val de 2")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (("train.de",), r"train\.de not found"),
        (("val.en",), r"val\.en not found"),
        (("val.en", "val.de"), r"val\.en and val\.de or dev\.en and dev\.de not found"),
        (("test.en", "test.de"), r"test\.en and test\.de not found"),
        (("test.de",), r"test\.de not found"),
    ],
)
def test_missing_files_of_a_folder_are_named(tmp_path: Path, missing: tuple[str, ...], message: str) -> None:
    write_corpus(tmp_path)
    for name in missing:
        (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=message):
        read_folder(tmp_path, "en", "de")


@pytest.mark.parametrize("language", ["../en", "/etc/passwd", "", ".", "e n", "en\n", "*", "-x"])
def test_a_language_is_a_plain_word(tmp_path: Path, language: str) -> None:
    write_corpus(tmp_path)
    with pytest.raises(UsageError, match="plain file suffix"):
        read_folder(tmp_path, language, "de")


def test_source_and_target_language_differ(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both 'en'"):
        read_folder(write_corpus(tmp_path), "en", "en")


def test_a_folder_that_is_not_there_or_is_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "nowhere", "en", "de")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is not a folder"):
        read_folder(tmp_path / "file", "en", "de")


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b"], ids=["too long", "NUL"])
def test_a_name_that_no_folder_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        read_folder(Path(name), "en", "de")


def test_the_digest_tells_texts_orders_and_splits_apart() -> None:
    two = ParallelText(("a", "c"), ("b", "d"))
    turned = ParallelText(("c", "a"), ("d", "b"))
    corpora = [
        Corpus("x", "en", "de", two, ONE, ONE, {}),
        Corpus("x", "en", "de", turned, ONE, ONE, {}),
        Corpus("x", "en", "de", ONE, two, ONE, {}),
        Corpus("x", "en", "de", ONE, ONE, two, {}),
        Corpus("x", "en", "de", ParallelText(("b", "d"), ("a", "c")), ONE, ONE, {}),
    ]
    assert len({corpus.digest() for corpus in corpora}) == len(corpora)
    assert all(len(corpus.digest()) == 64 for corpus in corpora)
    assert corpora[0].digest() == Corpus("y", "en", "de", two, ONE, ONE, {"train pairs with a blank line": 1}).digest()


def test_sides_of_different_length_are_no_parallel_text() -> None:
    with pytest.raises(ValueError, match="2 source lines beside 1"):
        ParallelText(("a", "b"), ("c",))


def test_importing_it_imports_neither_tensorflow_nor_numpy() -> None:
    code = "import sys, nmt_pbt.tasks.translation.corpus.parallel; print({'numpy', 'tensorflow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
