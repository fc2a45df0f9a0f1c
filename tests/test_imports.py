"""Programs beside the package import nothing of it that is not there; most of them run too long for a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(path for room in ("benchmarks", "examples", "docs/make") for path in (ROOT / room).rglob("*.py"))


def names_in(module: str) -> set[str] | None:
    """Names that can be imported from a module of the package; None if there is no such module."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.exists():
        return None
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {other.stem for other in path.iterdir()} if path.is_dir() else set()
    if file == ROOT / "nmt_pbt" / "__init__.py":  # which imports by name, when asked
        found |= {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    statements = [*tree.body]
    for statement in statements:
        match statement:
            case ast.If() | ast.Try():
                statements += [inside for inside in ast.iter_child_nodes(statement) if isinstance(inside, ast.stmt)]
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                found.update(alias.asname or alias.name for alias in names)
            case _:
                found.update(part.id for part in ast.walk(statement) if isinstance(part, ast.Name))
    return found


def missing(text: str) -> list[str]:
    """What a program imports of the package, and cannot."""
    wrong = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nmt_pbt":
            known = names_in(node.module or "")
            wrong += [f"{node.module}.{alias.name}" for alias in node.names if known is None or alias.name not in known]
        elif isinstance(node, ast.Import):
            named = [alias.name for alias in node.names if alias.name.split(".")[0] == "nmt_pbt"]
            wrong += [name for name in named if names_in(name) is None]
    return wrong


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_program_imports_what_there_is(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_found() -> None:
    assert missing(
        "from nmt_pbt.run.driver import Driver, Rider\nimport nmt_pbt.nowhere\nfrom nmt_pbt import compare"
    ) == [
        "nmt_pbt.run.driver.Rider",
        "nmt_pbt.nowhere",
    ]
