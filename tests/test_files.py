"""Files are replaced whole or not at all, and never through a link."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import refuse_links, replace_file


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"first")
    replace_file(tmp_path / "a", b"second")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"second")]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_on_a_full_disk_the_old_file_stays_and_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    replace_file(tmp_path / "a", b"first")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left") as caught:
        replace_file(tmp_path / "a", b"second")
    assert caught.value.filename == str(tmp_path / "a")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"first")]


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "outside")
    replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "outside").read_bytes() == b"mine"


def test_a_link_inside_a_run_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="report: is a link"):
        refuse_links(tmp_path, "states", "report")
