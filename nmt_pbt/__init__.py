"""nmt-pbt: an attention LSTM translator, tuned by Population Based Training, compared with other searches.

Also for any Keras model: `compare` compares search methods on it, `PopulationBasedTraining` stands where
`keras_tuner.Hyperband` does, and `PBTOracle` serves a `keras_tuner.Tuner` of one's own. `compare_task` compares methods
on anything else that can be trained. `load_run` reads a run as tables.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt_pbt.comparison import compare_task
    from nmt_pbt.report.run import load_run
    from nmt_pbt.tasks.keras.compare import compare, keras_task
    from nmt_pbt.tasks.keras.oracle import PBTOracle
    from nmt_pbt.tasks.keras.tuner import PopulationBasedTraining

__all__ = ["PBTOracle", "PopulationBasedTraining", "__version__", "compare", "compare_task", "keras_task", "load_run"]

__version__ = "0.1.0"

_LAZY = {
    "PBTOracle": "nmt_pbt.tasks.keras.oracle",
    "PopulationBasedTraining": "nmt_pbt.tasks.keras.tuner",
    "compare": "nmt_pbt.tasks.keras.compare",
    "compare_task": "nmt_pbt.comparison",
    "keras_task": "nmt_pbt.tasks.keras.compare",
    "load_run": "nmt_pbt.report.run",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: TensorFlow and KerasTuner take seconds, and most commands need neither."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
