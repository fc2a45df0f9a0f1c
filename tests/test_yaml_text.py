"""YAML for settings: what is read as what, what is refused, and that what is written is read back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.yaml_text import MAX_BYTES, MAX_DEPTH, dump_yaml, parse_yaml, read_yaml

TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**29), 10**29)
    | st.floats(allow_nan=False)
    | TEXT
    | st.sampled_from(["no", "1e5", "010", "08", "1_0", "1:30", "2026-01-01", "~", "null", ".inf", "-", "<<", "="]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_yaml(text, "file")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("010", 10),
        ("08", 8),
        ("-3", -3),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-13-45", "2026-13-45"),
        ("3e-4", 3e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("2.", 2.0),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("1e", "1e"),
        (".", "."),
        ("'1'", "1"),
        ("[1, a, {b: 2.5}]", [1, "a", {"b": 2.5}]),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("1" * 31, "1" * 31),
    ],
)
def test_plain_values_are_read_by_the_core_schema(text: str, value: Any) -> None:
    got = parse_yaml(text, "file")
    assert (got, type(got)) == (value, type(value))


@given(tree=PLAIN)
@example(tree="a\x85b")
@example(tree="a\u2028 b")
@example(tree="\ufeffa")
@example(tree={"\x85": "\x1b[31m"})
def test_what_is_written_is_read_back_here_and_by_a_reader_of_the_older_yaml(tree: Any) -> None:
    text = dump_yaml(tree)
    assert parse_yaml(text, "file") == tree
    assert yaml.safe_load(text) == tree


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: &x 1\nb: 2", ", line 1"), ("a: 1\nb: &x [1, *x]", ", line 2"), ("a: 1\nb: *x", ", line 2"), ("&x a: 1", "")],
)
def test_anchors_and_aliases_are_refused_where_they_stand(text: str, place: str) -> None:
    assert refusal(text) == f"file{place}: anchors and aliases are not for settings; write the value out"


@pytest.mark.alone
def test_a_bomb_of_aliases_costs_nothing() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    began = time.process_time()
    assert refusal("\n".join(levels)) == "file, line 1: anchors and aliases are not for settings; write the value out"
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: !!python/object/apply:os.system [ls]", "!!python/object/apply:os.system"),
        ("!!timestamp 2026-13-45", "!!timestamp"),
        ("!!int x", "!!int"),
        ("!mine {a: 1}", "!mine"),
        ("! a", "!"),
    ],
)
def test_tags_are_refused_whatever_they_would_make(text: str, tag: str) -> None:
    assert refusal(text) == f"file: the tag {tag} is not for settings; remove it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 1", ", line 3: 'a' is given twice; remove one"),
        ("a: 1\n'a': 2", ", line 2: 'a' is given twice; remove one"),
        ("x: {b: 1, b: 2}", ": 'b' is given twice; remove one"),
    ],
)
def test_a_name_given_twice_is_refused_where_it_stands_again(text: str, message: str) -> None:
    assert refusal(text) == f"file{message}"


@pytest.mark.parametrize("text", ["1: a", "true: a", "~: a", "[a]: b", "{a: b}: c", "1.5: a"])
def test_a_name_that_is_not_text_is_refused(text: str) -> None:
    assert refusal(text) == "file: expected a setting's name before the colon; correct it"


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_nesting_is_read_up_to_a_depth_and_refused_beyond_it(open_: str, close: str) -> None:
    inner = MAX_DEPTH - 1
    assert parse_yaml(open_ * inner + "1" + close * inner, "file") is not None
    assert refusal(open_ * (inner + 1) + "1" + close * (inner + 1)) == (
        "file: nested too deeply to be settings; flatten it"
    )
    assert refusal(open_ * 20_000) == "file: nested too deeply to be settings; flatten it"


@pytest.mark.parametrize("text", ["[1", "a: b: c", "a: 1\n- b", "\x00", "\t- a", "%", "a: 'b", "---\na\n---\nb", "@"])
def test_what_is_not_yaml_is_refused_in_one_line(text: str) -> None:
    assert refusal(text).endswith("not valid YAML; correct it")
    assert refusal(text).isprintable()


def test_a_file_is_read_up_to_a_size_and_refused_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("a: 1\n#".ljust(MAX_BYTES, "x"))
    assert read_yaml(path) == {"a": 1}
    path.write_text("a: 1\n#".ljust(MAX_BYTES + 1, "x"))
    with pytest.raises(UsageError, match="larger than 256 KiB, too large for settings"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["- a", "a", "3", "[a]"])
def test_a_file_whose_top_is_not_a_mapping_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"expected a mapping of settings at the top; see configs/ for examples$"):
        read_yaml(path)
