from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import fields
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from nmt_pbt.tasks.protocol import MemberState
from nmt_pbt.tasks.state import content_hash
from nmt_pbt.tasks.translation.task import TranslationTask


@pytest.fixture(scope="module")
def began(small_settings) -> list[str]:
    """What a process that begins with a pickled task, as a worker does, says of what is imported."""
    code = (
        "import pickle, sys; task = pickle.load(sys.stdin.buffer)\n"
        "print(type(task).__name__, 'tensorflow' in sys.modules, task.settings.model.units)\n"
        "from nmt_pbt.tasks.translation.tensorflow_start import UNUSED\n"
        "print(*(name for name in UNUSED if name in sys.modules))\n"
        "import matplotlib.pyplot, pandas, sklearn\n"
        "print('found')"
    )
    task = pickle.dumps(TranslationTask(small_settings, None))
    return (
        subprocess.run([sys.executable, "-c", code], input=task, capture_output=True, check=True)
        .stdout.decode()
        .split("\n")
    )


def test_nothing_of_a_task_is_lost_on_its_way_to_a_worker(small_settings):
    task = TranslationTask(small_settings, None, MemberState({"weights/w": np.ones(2)}, 0))
    sent = ForkingPickler.loads(ForkingPickler.dumps(task))
    assert [field.name for field in fields(task)] == ["settings", "prepared", "start"]
    assert sent.settings == task.settings
    assert content_hash(sent.start) == content_hash(task.start)


def test_a_worker_has_the_task_that_was_sent(began):
    assert began[0] == "TranslationTask True 16"


def test_a_worker_starts_without_what_keras_brings_along_unused_but_finds_what_it_asks_for(began):
    assert began[1:] == ["", "found", ""]
