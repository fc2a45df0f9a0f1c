"""The promises of docs/reliability.md have tests; and what is read from outside can do nothing but be read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from nmt_pbt.base.errors import NmtPbtError
from nmt_pbt.report.page import write_report
from nmt_pbt.report.run import load_run
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.report.fake_run import write_fake_run

ROOT = Path(__file__).parents[1]
PROMISES = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_promise_names_tests_that_exist() -> None:
    rows = [row for row in PROMISES.splitlines() if row.startswith("| ") and not row.startswith(("| promise", "| ---"))]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row)
        assert named, row
        for path, name in named:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in functions, f"{path}::{name}"
            marks = " ".join(ast.unparse(decorator) for decorator in functions[name].decorator_list)
            assert not re.search(r"mark\.(slow|peer|skip)", marks), f"{path}::{name} is not part of `make test`"


UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
UNSAFE_ENDS = ("models.load_model", "np.load", "numpy.load", "yaml.unsafe_load", "yaml.full_load")
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}


def test_nothing_that_is_read_can_run() -> None:
    package = ROOT / "nmt_pbt"
    # To its own workers, through a pipe, and back at once; never from a file.
    sending = package / "tasks" / "keras" / "sending.py", package / "testing.py"
    for path in package.rglob("*.py"):
        if path in sending:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name.partition(".")[0] for alias in node.names} & UNSAFE_MODULES, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in UNSAFE_MODULES, path
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in UNSAFE_CALLS, f"{path}:{node.lineno}"
                assert not called.endswith(UNSAFE_ENDS), f"{path}:{node.lineno}"
                if called in ("yaml.load", "yaml.load_all"):
                    assert path.name == "grammar_file.py", f"{path}:{node.lineno}: its loader has to be a safe one"


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "translations/../../outside.txt", "link.txt"])
def test_a_run_that_names_files_outside_itself_is_refused(tmp_path: Path, name: str) -> None:
    run = write_fake_run(tmp_path / "run", ("random",), population=2, epochs=2.0, sentences=80)
    (tmp_path / "outside.txt").write_text("mine\n", encoding="utf-8")
    (run / "link.txt").symlink_to(tmp_path / "outside.txt")
    journal = run / "journal.jsonl"
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text.replace("translations/random-seed0.txt", name), encoding="utf-8")
    with pytest.raises(NmtPbtError, match="outside the run"):
        load_run(run).translations  # noqa: B018
    with pytest.raises(NmtPbtError, match="outside the run"):
        load_run(run).counts  # noqa: B018


def test_a_report_is_not_written_through_a_link(tmp_path: Path) -> None:
    run = write_fake_run(tmp_path / "run", ("random",), population=2, epochs=2.0, sentences=80)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine.csv").write_text("mine", encoding="utf-8")
    (run / "report").symlink_to(tmp_path / "outside")
    with pytest.raises(NmtPbtError, match="report: is a link"):
        write_report(run)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["mine.csv"]


def test_no_file_of_a_run_is_written_in_place() -> None:
    for room in ("experiment", "report", "training"):
        for path in (ROOT / "nmt_pbt" / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\.write_(text|bytes)\(", text), f"{path}: use replace_file, which follows no link"


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", ".hidden", "a\\0b", "a\\nb"])
def test_a_name_in_the_settings_is_no_path(name: str) -> None:
    for key in ("name", "corpus.source_language", "corpus.target_language"):
        with pytest.raises(NmtPbtError, match=key):
            load_settings(None, [], {key: name})
