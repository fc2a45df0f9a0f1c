"""Methods as the report knows them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_pbt.report.methods import base_method, combined_name, method_info, parts_of
from nmt_pbt.search.methods.registry import METHODS


@pytest.mark.parametrize("run", ["one", "trial (2: best)", "a: b", "(", ") (3: x)", ""])
@pytest.mark.parametrize("number", [1, 12])
def test_a_runs_methods_are_told_apart_whatever_the_run_is_called(run: str, number: int) -> None:
    for method in METHODS.names:
        assert parts_of(combined_name(method, number, run)) == (method, number)
    assert base_method(combined_name("pbt", number, run)) == "pbt"
    assert method_info(combined_name("pbt", number, run)).label == f"PBT ({number})"


def test_a_method_of_one_run_is_its_own_name() -> None:
    assert [parts_of(name) for name in ("pbt", "odd (name)")] == [("pbt", None), ("odd (name)", None)]


def test_kinds_and_ablations() -> None:
    assert [method_info(name).kind for name in ("pbt", "explore-only", "random", "final-values")] == [
        *("population", "population", "constant", "replay")
    ]
    assert [name for name in METHODS.names if method_info(name).ablation] == [
        *("exploit-only", "explore-only", "replay", "final-values")
    ]


def test_an_unknown_method_has_its_own_name_and_always_the_same_look() -> None:
    assert method_info("halving").label == "halving"
    assert method_info("halving") == method_info("halving")
    assert method_info("halving").color != method_info("evolution").color


def test_what_is_computed_and_said_needs_no_matplotlib() -> None:
    modules = (
        "answer comparisons diagnoses event_files export figure_tables labels series several statistics tables trends "
        "words"
    )
    program = f"import sys; [__import__('nmt_pbt.report.' + name) for name in {modules.split()!r}]; " + (
        "print('matplotlib' in sys.modules, 'tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert made.stdout.split() == ["False", "False"]


def test_every_method_is_told_apart_by_its_label_and_its_look():
    known = [method_info(name) for name in METHODS.names]
    assert len({info.label for info in known}) == len(known)
    assert len({(info.color, info.line, info.marker) for info in known}) == len(known)
    assert {"PB2-Mix", "FIRE-PBT", "IPBT", "PBT, Sobol start"} <= {info.label for info in known}
