"""Starting what takes seconds to start."""

from __future__ import annotations

import os
import sys
import tempfile

from nmt_pbt.tasks.translation.tensorflow_start import import_tensorflow


def set_environment() -> None:
    """Say how TensorFlow and Keras are to start, in this process and those that it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Whatever the shell sets for other programs: this one is written for Keras 3 on TensorFlow.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.pop("TF_USE_LEGACY_KERAS", None)


def start_tensorflow() -> None:
    """Import TensorFlow without its start-up messages.

    The native libraries write some of them before any setting of theirs is read, so standard error is set aside for
    the moment; what was written is shown after all if the import fails.
    """
    set_environment()
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import_tensorflow()
        except ImportError:
            os.dup2(terminal, 2)
            aside.seek(0)
            sys.stderr.write(aside.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
