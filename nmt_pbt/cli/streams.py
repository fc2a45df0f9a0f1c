"""The standard streams as the program needs them, however it was started."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nmt_pbt.base.errors import UsageError
from nmt_pbt.base.files import named


class ClosedStream(io.TextIOWrapper):
    """Stands where a standard stream is closed: there is nothing to read, and what is written is lost."""


class NamedStream(io.TextIOWrapper):
    """A standard stream whose errors name it, as those of a file do.

    Args:
        stream: The stream whose place it takes.
        called: Its name, for people.
    """

    def __init__(self, stream: io.TextIOWrapper, called: str) -> None:
        how = {"encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering}
        super().__init__(stream.detach(), **how)  # type: ignore[arg-type]
        self._called = called

    def write(self, text: str, /) -> int:
        """Write text.

        Raises:
            OSError: It cannot be written.
        """
        with self._naming():
            return super().write(text)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: It cannot be written.
        """
        with self._naming():
            super().flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise named(error, self._called) from error


def name_streams() -> None:
    """Let errors of standard output and standard error name them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:  # not one that is closed
            setattr(sys, name, NamedStream(stream, f"standard {'output' if name == 'stdout' else 'error'}"))


def open_streams() -> None:
    """Put a `ClosedStream` in the place of each standard stream that is closed.

    Python has None there, which libraries do not expect; and a file that is opened later would get the stream's number,
    and all that is printed to it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            os.set_inheritable(number, True)
            setattr(sys, name, ClosedStream(open(number, "r+b", buffering=0, closefd=False)))


def speak_utf_8() -> None:
    """Write UTF-8 to files and pipes, as text is read, whatever the locale says; a terminal gets what it can show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def check_open(input_too: bool = False) -> None:
    """Refuse a closed standard output, for a command that does nothing but write to it.

    Args:
        input_too: Whether it reads standard input, too.

    Raises:
        UsageError: It is closed.
    """
    if isinstance(sys.stdout, ClosedStream):
        raise UsageError("standard output is closed; say where the result is to go, for instance with > FILE")
    if input_too and isinstance(sys.stdin, ClosedStream):
        raise UsageError("standard input is closed; give it text, for instance with < FILE")


def warn(text: str) -> None:
    """Say something in a line on standard error, beside what a command is asked for."""
    sys.stderr.write(f"nmt-pbt: {text}\n")
