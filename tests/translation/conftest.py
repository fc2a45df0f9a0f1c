"""A finished run with models, for all that uses one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.translation.made_run import make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture(scope="session")
def bare_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without its models, made without TensorFlow."""
    return make_run(tmp_path_factory.mktemp("bare") / "run", with_models=False)
