"""Programs beside the package import nothing of it that is not there; most of them run too long for a test."""

from __future__ import annotations

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(path for room in ("benchmarks", "examples", "docs/make") for path in (ROOT / room).rglob("*.py"))


def missing(text: str) -> list[str]:
    """Return what a program imports of the package, anywhere in it, and cannot."""
    wrong = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=str(module), names=names, level=0) if module.split(".")[0] == "nmt_pbt":
                wrong += [f"{module}.{alias.name}" for alias in names if not _has(module, alias.name)]
            case ast.Import(names=names):
                wrong += [a.name for a in names if a.name.split(".")[0] == "nmt_pbt" and not _is_module(a.name)]
    return wrong


def _has(module: str, name: str) -> bool:
    return _is_module(module) and (hasattr(importlib.import_module(module), name) or _is_module(f"{module}.{name}"))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # nor is what it would be in
        return False


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_program_imports_what_there_is(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_found() -> None:
    text = (
        "from nmt_pbt.run.driver import Driver, Rider, JournaledOracle\n"  # the last one for types alone
        "from nmt_pbt import compare, report\n"
        "import nmt_pbt.nowhere.at_all\n"
    )
    assert missing(text) == ["nmt_pbt.run.driver.Rider", "nmt_pbt.run.driver.JournaledOracle", "nmt_pbt.nowhere.at_all"]
