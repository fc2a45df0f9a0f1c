"""What a worker process is sent: functions and classes of a script or notebook too, by their code.

They go through the pipe between a process and its own workers, and are never read from a file.
"""

from __future__ import annotations

from typing import Any

import cloudpickle


def packed(value: Any) -> bytes:
    """Return a value as bytes for a worker process.

    Args:
        value: Anything that can be sent; otherwise whatever pickle raises.
    """
    return bytes(cloudpickle.dumps(value))


def unpacked(content: bytes) -> Any:
    """Return what the process that started this one has sent.

    Args:
        content: As `packed` returned it.
    """
    return cloudpickle.loads(content)
