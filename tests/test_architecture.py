"""Imports go down the house (docs/architecture.md), never in a circle, and light rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from nmt_pbt.base.environment import DECIDES_NOTHING

PACKAGE = Path(__file__).parents[1] / "nmt_pbt"
ORDER = [
    "__main__",
    "cli",
    "__init__",  # what `import nmt_pbt` offers
    "tasks.keras",
    "comparison",
    "report",
    "track",
    "run",
    "testing",
    "tasks.translation",
    "tasks.translation.training",
    "tasks.translation.decoding",
    "tasks.translation.decoding.attention_record",
    "tasks.translation.corpus",
    "tasks.translation.model",
    "tasks.translation.settings",
    "tasks.translation.scoring",
    "tasks.translation.scoring.bleu_tokenizer",
    "settings",
    "search.methods",
    "search.oracles",
    "search.population",
    "search",
    "tasks",  # what every task keeps to
    "space",
    "base",
]
REPORTING = {"nmt_pbt.comparison", "nmt_pbt.tasks.keras.compare", "nmt_pbt.tasks.keras.tuner"}
"""Fronts of a search that write its report when it is over; nothing below them does."""
TENSORFLOW = {"tensorflow", "tensorflow_text", "keras"}
HEAVY = TENSORFLOW | {"keras_tuner", "matplotlib", "pandas", "ray", "scipy", "sklearn", "sentencepiece"}
TRANSLATION = {room for room in ORDER if room.startswith("tasks.translation")}
EVIDENCE = {f"tasks.translation.{name}" for name in ("decoding.attention_record", "scoring", "scoring.bleu_tokenizer")}
"""What reads the files that a winner's test leaves; it needs no TensorFlow."""
SEARCH = {room for room in ORDER if room.startswith("search")}
NEVER: dict[str, set[str]] = {
    # Of what stands below it in the order, and of what is not ours, a room may import all but these.
    "tasks.keras": {"tensorflow", "tensorflow_text", *TRANSLATION},
    "track": TENSORFLOW | TRANSLATION | {"pandas", "matplotlib"},
    "run": TENSORFLOW | TRANSLATION | {"pandas", "matplotlib"},
    "report": TENSORFLOW | {"keras_tuner"} | (TRANSLATION - EVIDENCE),
    **{part: {"keras_tuner"} for part in TRANSLATION},
    "tasks.translation.corpus": {"keras_tuner", "tasks.translation.model", *SEARCH},
    "tasks.translation.settings": HEAVY,
    "tasks.translation.scoring.bleu_tokenizer": HEAVY | {"sacrebleu"},
    "tasks.translation.model": {"keras_tuner", *SEARCH, "settings", "space", "tasks", "tasks.translation.settings"},
    **dict.fromkeys(SEARCH, TENSORFLOW),
    "search.population": TENSORFLOW | {"keras_tuner"},
    **dict.fromkeys(["settings", "space", "base"], HEAVY),
}


def sources() -> dict[str, str]:
    """Every module of the package by its dotted name, `.__init__` left out, with its text."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["nmt_pbt", *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def room(module: str) -> str:
    name = module.removeprefix("nmt_pbt").removeprefix(".") or "__init__"
    return max((room for room in ORDER if f"{name}.".startswith(f"{room}.")), key=len, default=name)


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def imported(text: str, modules: Mapping[str, str]) -> Iterator[str]:
    """Modules that a text imports, wherever in it: also inside functions and for types alone."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                below = f"{base}.{alias.name}"
                yield below if below in modules else base


def violations(modules: Mapping[str, str]) -> list[str]:
    """What is wrong with the imports of some modules; empty when nothing is."""
    wrong = []
    graph: dict[str, set[str]] = {}
    for module, text in modules.items():
        here = room(module)
        graph[module] = set()
        for name in imported(text, modules):
            ours = name.split(".")[0] == "nmt_pbt"
            there = room(name) if ours else name.split(".")[0]
            if name.startswith("."):
                wrong.append(f"{module} imports {name}: relative")
            if there in NEVER.get(here, set()):
                wrong.append(f"{module} imports {name}: never")
            if ours:
                graph[module].add(name)
                if ORDER.index(there) < ORDER.index(here):
                    wrong.append(f"{module} imports {name}: upwards")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        wrong.append(f"circle: {' < '.join(error.args[1])}")
    return wrong


def test_every_import_goes_down_and_none_goes_in_a_circle() -> None:
    assert violations(sources()) == []


def reached(modules: Mapping[str, str], begin: set[str]) -> set[str]:
    """Modules that some import, directly or through others, with those themselves."""
    found, waiting = set(), list(begin)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [name for name in imported(modules[module], modules) if name in modules]
    return found


def left_out_of_the_digest(module: str) -> bool:
    return module.split(".")[1:2] in [[name] for name in DECIDES_NOTHING]


def test_the_digest_of_the_code_leaves_out_nothing_that_a_search_calls() -> None:
    modules = sources()
    begin = {module for module in modules if room(module) not in ("__main__", "__init__", *DECIDES_NOTHING)} - REPORTING
    assert {"nmt_pbt.run.compare", "nmt_pbt.tasks.translation.task", "nmt_pbt.search.population.population"} < begin
    assert not {module for module in reached(modules, begin) if left_out_of_the_digest(module)}
    moved = {**modules, "nmt_pbt.tasks.translation.task": "from nmt_pbt.report.inference import holm"}
    assert "nmt_pbt.report.inference" in {name for name in reached(moved, begin) if left_out_of_the_digest(name)}


def test_one_module_alone_looks_inside_keras_tuner() -> None:
    modules = sources()
    inside = {
        module
        for module, text in modules.items()
        if any(f"{name}.".startswith("keras_tuner.src.") for name in imported(text, modules))
    }
    assert inside == {"nmt_pbt.search.oracles.keras_tuner_internals"}


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {module: text.count("\n") for module, text in sources().items()}
    assert {module: lines for module, lines in lengths.items() if lines > 400} == {}


def test_every_room_has_its_place_and_every_place_a_room() -> None:
    assert {room(module) for module in sources()} == set(ORDER)


@pytest.mark.parametrize(
    ("module", "text", "why"),
    [
        ("nmt_pbt.tasks.translation.model.fake", "from nmt_pbt.tasks.translation import state", "upwards"),
        ("nmt_pbt.base.errors", "def f():\n    import nmt_pbt.settings", "upwards"),
        ("nmt_pbt.tasks.translation.corpus.fake", "from nmt_pbt import cli", "upwards"),
        ("nmt_pbt.tasks.translation.fake", "if TYPE_CHECKING:\n    from nmt_pbt.run.driver import Driver", "upwards"),
        ("nmt_pbt.tasks.translation.model.fake", "from nmt_pbt.settings.tree import RunSettings", "never"),
        ("nmt_pbt.tasks.translation.model.fake", "import keras_tuner as kt", "never"),
        ("nmt_pbt.search.fake", "import tensorflow as tf", "never"),
        ("nmt_pbt.search.fake", "from keras.ops import add", "never"),
        ("nmt_pbt.search.fake", "from tensorflow_text import metrics", "never"),
        ("nmt_pbt.report.fake", "def f():\n    import keras_tuner", "never"),
        ("nmt_pbt.report.figures.fake", "import tensorflow", "never"),
        ("nmt_pbt.run.journal", "import pandas", "never"),
        ("nmt_pbt.run.fake", "from nmt_pbt.tasks.translation.settings.tree import TranslationSettings", "never"),
        ("nmt_pbt.settings", "from matplotlib.figure import Figure", "never"),
        ("nmt_pbt.search.fake", "from nmt_pbt.tasks.keras import tuner", "upwards"),
        ("nmt_pbt.tasks.keras.fake", "from nmt_pbt.tasks.translation.model.lstm import LSTM", "never"),
        ("nmt_pbt.search.fake", "from . import space", "relative"),
    ],
)
def test_an_import_that_is_against_the_rules_is_found(module: str, text: str, why: str) -> None:
    modules = sources()
    found = violations({**modules, module: modules.get(module, "") + "\n" + text})
    assert [line for line in found if line.startswith(f"{module} imports ") and line.endswith(f": {why}")]


def test_a_circle_inside_one_room_is_found() -> None:
    circle = {
        "nmt_pbt.search.one": "from nmt_pbt.search import two",
        "nmt_pbt.search.two": "import nmt_pbt.search.three",
        "nmt_pbt.search.three": "def f():\n    from nmt_pbt.search.one import x",
    }
    found = violations({**sources(), **circle})
    assert len(found) == 1
    assert found[0].startswith("circle: ")
    assert set(found[0].removeprefix("circle: ").split(" < ")) == set(circle)


def test_the_front_may_use_keras_and_the_format_of_states() -> None:
    text = "import keras\nfrom nmt_pbt.tasks.state import StateStore\nfrom nmt_pbt.search.oracles.pbt import PBTOracle"
    assert violations({**sources(), "nmt_pbt.tasks.keras.fake": text}) == []


@pytest.mark.parametrize(
    ("modules", "kept_out"),
    [
        ("nmt_pbt nmt_pbt.settings nmt_pbt.run.journal nmt_pbt.base.errors nmt_pbt.base.randomness", HEAVY),
        (
            "nmt_pbt.cli.main nmt_pbt.tasks.translation.corpus.parallel nmt_pbt.search.methods "
            "nmt_pbt.run.run_directory",
            HEAVY,
        ),
        ("nmt_pbt.report.page", TENSORFLOW | {"keras_tuner", "sklearn", "ray"}),
    ],
)
def test_importing_what_has_to_answer_at_once_brings_in_nothing_heavy(modules: str, kept_out: set[str]) -> None:
    program = f"import sys, {', '.join(modules.split())}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not kept_out & set(done.stdout.split())
