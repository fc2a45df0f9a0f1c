"""What every command does with wrong use, with being interrupted, and with a reader that has gone."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import typer

from nmt_pbt.base.errors import NmtPbtError, OutOfMemoryError, UsageError

NAME = "nmt-pbt"


def run_app(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line.

    Args:
        app: The commands.
        arguments: What stands after the program's name.

    Returns:
        The exit code: 0 done, 2 wrong use or bad input (one line on standard error says what, where and what to do),
        130 interrupted. A closed pipe ends the process as it ends other programs: by SIGPIPE, without a word.
    """
    command = typer.main.get_command(app)
    _without_types_of_flags(command)
    try:
        with command.make_context(NAME, list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as error:
        # One without a message has shown the help already.
        return _tell(_one_line(error, _named(command, arguments))) if error.format_message() else error.exit_code
    except NmtPbtError as error:
        return _tell(error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except MemoryError:
        return _tell(OutOfMemoryError("there is not enough memory; end other programs, or give less at once"))
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            _end_by_closed_pipe()
        # A full disk, a folder without permission: what was written before is whole, and a run can be resumed.
        where = f"{error.filename}: " if error.filename else ""
        return _tell(UsageError(f"{where}{error.strerror or error}; mend that and try again"))


def _without_types_of_flags(command: Any) -> None:
    """Let help show no type beside an option that takes no value, where typer writes `<bool>`; of subcommands, too."""
    options = [*command.params, command.get_help_option(typer.Context(command))]
    for option in options:
        if getattr(option, "is_flag", False):
            option.metavar = ""
    for below in getattr(command, "commands", {}).values():
        _without_types_of_flags(below)


def _tell(error: NmtPbtError) -> int:
    with suppress(OSError):  # standard error is what cannot be written: nobody can be told
        typer.echo(f"{NAME}: {error}", err=True)
    return 2


def _one_line(error: typer.TyperException, command: str) -> UsageError:
    """Return an unknown option, a missing argument and the like in one line, with where help is to be had."""
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    return UsageError(f"{message}; see {command} --help")


def _named(command: Any, arguments: Sequence[str]) -> str:
    """Return the name of the command that a command line begins with."""
    names = [NAME]
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument)
        if command is None:
            break
        names.append(argument)
    return " ".join(names)


def _reader_has_gone() -> bool:
    """Return whether whoever read standard output or standard error has closed it."""
    poll = select.poll()
    for stream in (1, 2):
        poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _end_by_closed_pipe() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
