"""KerasTuner's chief and workers, with patience: the chief leaves when it is done, workers wait for one that returns.

KerasTuner's wire has no encryption and no authentication: for loopback or a network whose every user is trusted.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc

from nmt_pbt.base.errors import SearchError, UsageError
from nmt_pbt.search.keras_tuner_internals import add_oracle_servicer, workers_have_left
from nmt_pbt.tasks.keras.oracle import PBTOracle

_LOG = logging.getLogger("nmt_pbt")
_TICK = 0.2  # seconds between two looks at whether the search is over
_SUSPICIOUS = 10  # times as long as any trial before
_SOONEST, _WITHOUT_COMPARISON = 60.0, 600.0  # seconds before a trial is said to take long
_LINGER = 5.0  # seconds without a question from a worker before the chief leaves
_RETRY = 0.5  # seconds before a worker asks again after a call that broke off


class Watch:
    """Says which trials take so long that their workers may be gone.

    KerasTuner's chief waits for ever for a worker that was killed and does not come back: nobody but the worker can
    know whether it still trains. So the chief says whom it waits for.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str], float] = {}
        self._said: dict[tuple[str, str], float] = {}
        self._longest: float | None = None

    def look(self, under_way: Mapping[str, str]) -> list[str]:
        """Return what is to be said now; of one trial again each time it has taken twice as long.

        Args:
            under_way: Trials by worker.
        """
        now = self._clock()
        for pair in self._since.keys() - under_way.items():
            self._longest = max(self._longest or 0.0, now - self._since.pop(pair))
            self._said.pop(pair, None)
        limit = _WITHOUT_COMPARISON if self._longest is None else max(_SOONEST, _SUSPICIOUS * self._longest)
        messages = []
        for worker, trial in sorted(under_way.items()):
            taken = now - self._since.setdefault((worker, trial), now)
            if taken >= max(limit, 2 * self._said.get((worker, trial), 0.0)):
                self._said[worker, trial] = taken
                messages.append(
                    f"{worker} has been at trial {trial} for {taken:.0f} s; if it was killed, start it again with "
                    f"KERASTUNER_TUNER_ID={worker}: the search waits for it"
                )
        return messages


class _LastCall(grpc.ServerInterceptor):
    """Remembers when a worker last asked something."""

    def __init__(self) -> None:
        self.time = time.monotonic()

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        self.time = time.monotonic()
        return continuation(handler_call_details)


def serve(oracle: PBTOracle) -> None:
    """Answer workers until the search is over and they have stopped asking.

    Args:
        oracle: The chief's oracle.

    Raises:
        UsageError: The address cannot be used.
        NmtPbtError: What ended the search, if it was an error.
    """
    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    last_call = _LastCall()
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=1),
        interceptors=[last_call],
        options=[("grpc.so_reuseport", 0)],  # two chiefs must not share the workers of one address
    )
    servicer = add_oracle_servicer(oracle, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise UsageError(
            f"{address}: cannot be listened at; free the port or set KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT"
        ) from None
    server.start()
    try:
        watch = Watch()
        while oracle.fault is None and not (servicer.stop_triggered and workers_have_left(oracle)):
            for message in watch.look({tuner: trial.trial_id for tuner, trial in list(oracle.ongoing_trials.items())}):
                _LOG.warning(message)
            time.sleep(_TICK)
        while time.monotonic() - last_call.time < _LINGER:
            time.sleep(_TICK)
    finally:
        server.stop(grace=_LINGER).wait()
    if oracle.fault is not None:
        raise oracle.fault


def patient(client: Any) -> None:
    """Make a worker's client ask again when the chief goes away in the middle of a call, until it is back.

    Every call may be repeated: a worker gets its own trial again, and of results that are told twice one counts.

    Args:
        client: KerasTuner's `OracleClient`.
    """
    client.stub = _PatientStub(client.stub)


class _PatientStub:
    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._stub, name)

        def patiently(*args: Any, **kwargs: Any) -> Any:
            while True:
                try:
                    return call(*args, **kwargs)
                except grpc.RpcError as error:
                    if error.code() == grpc.StatusCode.UNKNOWN:
                        reason = error.details().removeprefix("Exception calling application: ")
                        raise SearchError(f"the chief could not go on: {reason}") from None
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        raise
                time.sleep(_RETRY)

        return patiently
