"""What can be said of an engine's settings before anything heavy is imported or anything written."""

from __future__ import annotations

import importlib.util
import re
import socket

from nmt_pbt.errors import UsageError
from nmt_pbt.settings import EngineSettings

_ADDRESS = re.compile(r"(?:ray://)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_SECONDS = 5.0  # to answer


def check_engine(engine: EngineSettings) -> None:
    """Refuse an engine that cannot run here, in a second or so and without importing it.

    Args:
        engine: The settings of a run.

    Raises:
        UsageError: Ray is not installed, nobody listens at the address, or a setting is of another engine.
    """
    if engine.name == "inline":
        for name, value in (("address", engine.address), ("gpus", engine.gpus)):
            if value:
                raise UsageError(f"engine.{name} {value}: is for workers of Ray; add --engine ray, or leave it out")
        return
    if importlib.util.find_spec("ray") is None:
        raise UsageError("engine ray: Ray is not installed; pip install 'nmt-pbt[ray]', or use --engine inline")
    if engine.address not in (None, "auto"):
        _check_address(engine.address or "")


def _check_address(address: str) -> None:
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise UsageError(
            f"engine.address {address!r}: expected HOST:PORT, ray://HOST:PORT or auto, for instance 10.0.0.1:6379"
        )
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Ray at {address}: cannot be reached ({reason}); see that it runs, or leave out --address"
        ) from None
