"""The folder of a report: what may be written into, and which files of an earlier report are taken away.

A manifest beside the page names the files that a report wrote. Only these are ever removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import replace_file

MANIFEST = ".nmt-pbt-report.json"
_PAGE = "index.html"
_GENERATOR = '<meta name="generator" content="nmt-pbt">'
_KINDS = {".csv", ".html", ".md", ".png", ".svg", ".tex", ".yaml"}


def check_folder(folder: Path) -> None:
    """Refuse to write a report into a folder that holds something else.

    Args:
        folder: Where the report is to go. It may be missing, be empty, or hold an earlier report, with other files
            beside it.

    Raises:
        UsageError: It is a file, or holds files but no report.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder for the report with --out")
    if folder.is_dir() and any(folder.iterdir()) and not _is_report(folder):
        raise UsageError(f"{folder}: holds files but no report; name another folder with --out")


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a report, the page last, and remove what an earlier report wrote and this one does not.

    Args:
        folder: Where; it passed `check_folder`.
        files: What to write, by name relative to the folder.

    Returns:
        The page.

    Raises:
        UsageError: A file that no report wrote is in the way.
    """
    former = _written(folder)
    for name in files if former else ():  # without a manifest nobody knows what a version before it wrote
        if name not in former and (folder / name).exists():
            raise UsageError(f"{folder / name}: exists and is of no report; name another folder with --out")
    if (folder / "figures").is_symlink():
        raise UsageError(f"{folder / 'figures'}: is a link; remove it, or name another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    # Until all is done the manifest names both, so that a report that was cut short is cleared away by the next.
    replace_file(folder / MANIFEST, _manifest([*former, *files]))
    (folder / "figures").mkdir(exist_ok=True)
    for name in sorted(files, key=lambda name: (name == _PAGE, name)):
        path = folder / name
        if not path.is_file() or path.read_bytes() != files[name]:
            replace_file(path, files[name])
    for name in former:
        path = folder / name
        if name not in files and path.is_file() and not path.is_symlink():
            path.unlink()
    replace_file(folder / MANIFEST, _manifest(files))
    return folder / _PAGE


def _is_report(folder: Path) -> bool:
    """Return whether a report is in a folder; those of versions before the manifest are told by their page."""
    page = folder / _PAGE
    if page.is_file() and _GENERATOR in page.read_text("utf-8", errors="replace"):
        return True
    return bool(_written(folder))


def _manifest(names: Iterable[str]) -> bytes:
    return (json.dumps({"generator": "nmt-pbt", "files": sorted(set(names))}, indent=1) + "\n").encode("utf-8")


def _written(folder: Path) -> list[str]:
    """Return the files that the manifest names; none where it is missing, damaged, or names what no report writes."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [str(name) for name in manifest["files"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return names if all(map(_may_be_ours, names)) else []


def _may_be_ours(name: str) -> bool:
    path = Path(name)
    return path.suffix in _KINDS and not path.is_absolute() and path.parent in (Path("."), Path("figures"))
