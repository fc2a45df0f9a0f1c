from __future__ import annotations

import subprocess
import sys

CODE = """
import tensorflow as tf
from nmt_pbt.tasks.translation.model.runtime import use_threads
early = use_threads(1)
tf.constant(1) + 1
print(early, tf.config.threading.get_inter_op_parallelism_threads(), use_threads(2), use_threads(0))
"""


def test_the_first_call_before_tensorflow_runs_decides():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["1", "1", "1", "1"]
