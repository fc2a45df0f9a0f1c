"""Commands of `nmt-pbt` in the process of the tests: TensorFlow is started once for all of them."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from nmt_pbt.cli.main import app
from nmt_pbt.cli.usage import run_app


def nmt_pbt_here(*arguments: str, cwd: Path, text: str = "") -> str:
    """Run a command in a folder, which has to succeed.

    Args:
        arguments: What stands after `nmt-pbt`.
        cwd: The folder.
        text: What is on standard input.

    Returns:
        What it wrote to standard output.
    """
    given, output, errors = (io.TextIOWrapper(io.BytesIO(data), "utf-8") for data in (text.encode(), b"", b""))
    before = Path.cwd()
    os.chdir(cwd)
    try:
        with patch("sys.stdin", given), redirect_stdout(output), redirect_stderr(errors):
            code = run_app(app, arguments)
    finally:
        os.chdir(before)
    told, said = (_written(stream) for stream in (errors, output))
    assert code == 0, told
    return said


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
