"""The documents are true: what is made is current, what is linked is there, what is told to be typed can be typed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from nmt_pbt.cli.main import app
from nmt_pbt.tasks.translation.settings.tree import load_settings
from tests.report.test_load_run import COLUMNS, VALUES

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (".", "docs", "examples", "results", "benchmarks", "data")
    for path in (ROOT / folder).glob("*.md")
)
NAMES_OF_READERS = {"my-search.yaml", "results/mine", "results/first"}
"""Files that a reader has made by then."""
NOT_RUN = {
    "conda": "another way to install",
    "git": "needs a server to clone from",
    "kubectl": "needs a Kubernetes cluster",
    "pip": "installs",
    "ray": "starts a cluster",
    "sbatch": "needs a SLURM cluster",
    "sacrebleu": "scores the translations of a run that takes most of an hour",
    "tensorboard": "a server that does not end",
}
"""Commands that are only shown: why no test runs them."""
SHELL = {
    "gunzip",
    "head",
    "cut",
    "shuf",
    "paste",
    "printf",
    "mkdir",
    "for",
    "done",
    "do",
    "sed",
    "set",
    "echo",
    "cd",
    "export",
    "source",
    "wait",
}
"""The shell's own; documents with such blocks are run whole by tests/test_examples.py."""


def blocks(document: str) -> Iterator[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if language in ("", "sh", "bash", "console"):
            yield block


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield each command of each document, split into words; what is piped into one counts as another."""
    for document in DOCUMENTS:
        for block in blocks(document):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                try:
                    words = shlex.split(line, comments=True)
                except ValueError:
                    continue  # a line of a quoted program, which is run where its block is
                command: list[str] = []
                for word in [*words, "|"]:
                    if word not in ("|", "&&", ";", "&"):
                        command.append(word)
                    elif command:
                        yield document, command
                        command = []


OURS = sorted({(document, tuple(words)) for document, words in commands() if words[0] == "nmt-pbt"})


@pytest.mark.parametrize(
    ("document", "words"), OURS, ids=lambda part: " ".join(part) if isinstance(part, tuple) else part
)
def test_the_program_takes_every_command_of_the_documents(document: str, words: tuple[str, ...]) -> None:
    arguments = list(words[1:])
    for sign in ("<", ">"):
        if sign in arguments:
            place = arguments.index(sign)
            del arguments[place : place + 2]
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command, info_name="nmt-pbt")
    while isinstance(command, click.Group):
        if not arguments or arguments[0].startswith("-"):
            command.make_context("nmt-pbt", arguments, resilient_parsing=True)
            return
        found = command.get_command(context, arguments[0])
        assert found is not None, f"{document}: no command '{arguments[0]}'"
        command, arguments = found, arguments[1:]
    if "--help" in arguments:
        return
    taken = command.make_context(command.name, arguments, parent=context)
    options = taken.params
    settings = options.get("config")
    if command.name in ("compare", "train") and options.get("resume") is None:
        if settings is not None and str(settings) in NAMES_OF_READERS:
            return
        read = load_settings(None if settings is None else ROOT / settings, options.get("set_") or [])
        if methods := options.get("methods"):
            search = read.search.model_copy(update={"methods": methods.split(",")})
            read.model_copy(update={"search": search}).check_searches()


def test_every_other_command_is_known_and_its_file_is_there() -> None:
    for document, words in commands():
        name = Path(words[0]).name
        if name in ("nmt-pbt", *NOT_RUN) or name in SHELL or "=" in name:
            continue
        if name == "make":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            for target in words[1:]:
                assert "=" in target or re.search(rf"^{re.escape(target)}:", makefile, re.M), (document, words)
        elif name.startswith("python"):
            assert words[1] == "-m" or (ROOT / words[1]).exists(), (document, words)
        else:
            pytest.fail(f"{document}: {' '.join(words)}: not known to this test; run it, or tell why not")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_the_documents_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(#[^)]*)?\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link, anchor, picture in links:
        target = link or picture
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path = (ROOT / document).parent / target
        assert path.exists(), f"{document}: {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{document}: {target}{anchor}"


def test_the_index_names_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert len(pages) >= 8
    assert [page for page in pages if f"({page})" not in index] == []


def test_settings_reference_and_results_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make"), "--check"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_figures_of_the_explanation_are_there_in_light_and_dark() -> None:
    figures = {path.name for path in (ROOT / "docs" / "figures").iterdir()}
    for name in ("searches", "toy", "moving", "deceptive"):
        assert {f"{name}.svg", f"{name}.png", f"{name}-dark.png"} <= figures


def test_no_score_of_a_committed_run_is_typed_by_hand() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    sections = [section for section in re.split(r"^(?=## )", text, flags=re.M) if "<!-- made:" in section]
    assert sections
    for section in sections:
        by_hand = re.sub(r"<!-- made:.*?<!-- end -->", "", section, flags=re.DOTALL)
        by_hand = re.sub(r"```.*?```", "", by_hand, flags=re.DOTALL)
        assert re.findall(r"[-−+]?\d+\.\d+(?! million)", by_hand) == []


def test_every_column_of_a_run_is_documented() -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for table, columns in COLUMNS.items():
        (section,) = re.findall(rf"^### `{table}`.*?(?=^###? |\Z)", text, re.DOTALL | re.MULTILINE)
        documented = set(re.findall(r"`([a-z_X]+)`", section))
        metrics = {"train_loss", "val_loss", "val_bleu", "val_chrf"}
        for column in columns:
            own = re.sub(rf"^({'|'.join(VALUES)})(?=_before|_after)", "X", column)
            assert own in documented or column in VALUES or column in metrics, f"{table}.{column}"
