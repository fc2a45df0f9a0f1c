"""What a report may write into, and what it takes away there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nmt_pbt.base.errors import UsageError
from nmt_pbt.report.folder import MANIFEST, check_folder, write_files

PAGE = b'<meta name="generator" content="nmt-pbt">'


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["report", "thesis"])
def test_a_folder_of_other_files_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "main.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds files but no report"):
        check_folder(folder)


def test_only_what_an_earlier_report_wrote_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_files(folder, {"index.html": PAGE, "old.csv": b"1", "figures/old.svg": b"2", "kept.md": b"3"})
    mine = {"main.tex", "notes.md", "data.csv", "conf.yaml", "figures/photo.png", "figures/photo.svg"}
    for name in mine:
        (folder / name).write_text("mine", encoding="utf-8")
    check_folder(folder)
    assert write_files(folder, {"index.html": PAGE, "kept.md": b"4"}) == folder / "index.html"
    assert files_of(folder) == mine | {"index.html", "kept.md", MANIFEST}
    assert json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"] == ["index.html", "kept.md"]


def test_a_report_without_a_manifest_is_replaced_and_nothing_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "data.csv").write_text("mine", encoding="utf-8")
    check_folder(tmp_path)
    write_files(tmp_path, {"index.html": PAGE + b"new"})
    assert files_of(tmp_path) == {"index.html", "data.csv", MANIFEST}


def test_what_became_something_else_than_a_file_is_left_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "report", tmp_path / "outside.csv"
    outside.write_text("mine", encoding="utf-8")
    write_files(folder, {"index.html": PAGE, "linked.csv": b"1", "folder.csv": b"1"})
    (folder / "linked.csv").unlink()
    (folder / "linked.csv").symlink_to(outside)
    (folder / "folder.csv").unlink()
    (folder / "folder.csv").mkdir()
    write_files(folder, {"index.html": PAGE})
    assert outside.read_text(encoding="utf-8") == "mine"
    assert (folder / "linked.csv").is_symlink()
    assert (folder / "folder.csv").is_dir()


@pytest.mark.parametrize("name", ["../outside.csv", "/outside.csv", "figures/../../outside.csv", "thesis.docx"])
def test_a_manifest_that_names_what_no_report_writes_takes_nothing_away(tmp_path: Path, name: str) -> None:
    folder, outside = tmp_path / "report", tmp_path / "outside.csv"
    outside.write_text("mine", encoding="utf-8")
    write_files(folder, {"index.html": PAGE})
    (folder / "data.csv").write_text("mine", encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps({"files": [name, "data.csv"]}), encoding="utf-8")
    write_files(folder, {"index.html": PAGE})
    assert outside.exists()
    assert (folder / "data.csv").exists()


def test_a_report_that_was_cut_short_is_cleared_away_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt_pbt.report import folder as module

    folder, write = tmp_path / "report", module.replace_file

    def fail_at_the_page(path: Path, data: bytes) -> None:
        if path.name == "index.html":
            raise OSError("no space left")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_file", fail_at_the_page)
        with pytest.raises(OSError, match="no space"):
            write_files(folder, {"index.html": PAGE, "old.csv": b"1"})
    check_folder(folder)
    write_files(folder, {"index.html": PAGE})
    assert files_of(folder) == {"index.html", MANIFEST}


def test_a_file_beside_a_report_that_no_report_wrote_is_not_overwritten(tmp_path: Path) -> None:
    write_files(tmp_path, {"index.html": b"page"})
    (tmp_path / "winners.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"winners\.csv: exists and is of no report"):
        write_files(tmp_path, {"index.html": b"page", "winners.csv": b"theirs"})
    assert (tmp_path / "winners.csv").read_text() == "mine"


def test_no_figure_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "figures").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="figures: is a link"):
        write_files(tmp_path / "site", {"index.html": b"page", "figures/one.svg": b"<svg/>"})
    assert not list((tmp_path / "real").iterdir())
