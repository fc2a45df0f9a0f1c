"""What says the same thing in two files says the same: versions, pins, what is shipped."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

from nmt_pbt import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def metadata() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def project() -> dict[str, Any]:
    return dict(metadata()["project"])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Pinned version by package, for the newest Pythons."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {}
    for line in lines:
        if line and not line.startswith("#"):
            found = re.fullmatch(r"([\w.-]+)==([\w.]+)( ; python_version (?:>=|<) \"3\.11\")?", line)
            assert found is not None, f"{line}: not a plain pin"
            if "<" not in (found[3] or ""):
                pinned[normal(found[1])] = found[2]
    return pinned


def test_every_dependency_has_a_tested_pin() -> None:
    extras = project()["optional-dependencies"]
    wanted = [*project()["dependencies"], *(line for lines in extras.values() for line in lines)]
    names = {normal(re.split(r"[\[<>=!~ ]", line)[0]) for line in wanted} - {"nmt-pbt"}
    assert names <= pins().keys()


def test_every_pin_is_within_the_bounds_asked_for() -> None:
    for line in project()["dependencies"]:
        name, bounds = re.fullmatch(r"([\w-]+)(.*)", line).groups()  # type: ignore[union-attr]
        assert SpecifierSet(bounds).contains(pins()[normal(name)]), line


def test_the_version_is_the_same_wherever_it_stands() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["license"] == project()["license"]


def test_pre_commit_runs_the_pinned_ruff_and_nothing_else() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [entry["rev"] for entry in repositories] == [f"v{pins()['ruff']}"]


def test_the_conda_environment_has_a_python_that_the_package_takes() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    python = next(line.removeprefix("python=") for line in environment if str(line).startswith("python="))
    assert SpecifierSet(project()["requires-python"]).contains(python)


def test_every_file_of_the_package_is_shipped() -> None:
    patterns = metadata()["tool"]["setuptools"]["package-data"]["*"]
    packages = {path.parent for path in (ROOT / "nmt_pbt").rglob("__init__.py")}
    shipped = {path for package in packages for pattern in ["*.py", *patterns] for path in package.glob(pattern)}
    files = {path for path in (ROOT / "nmt_pbt").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert files == shipped
