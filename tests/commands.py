"""The command line, in this process and in one of its own; both give an exit code and what was printed."""

import io
import multiprocessing.process
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest import mock

from askback.cli import main


def askback(*arguments: object, cwd: Path | None = None, **environment: str) -> CompletedProcess[str]:
    """Call the program's `main` here, which saves the seconds that a process takes to import its libraries."""
    command = ["askback", *map(str, arguments)]
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    folder: Any = cwd or Path.cwd()
    code: Any = 0
    with (
        chdir(folder),
        mock.patch.object(multiprocessing.process, "ORIGINAL_DIR", str(folder)),  # where workers begin
        mock.patch.object(sys, "argv", command),
        mock.patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(error),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    said, told = (stream.buffer.getvalue().decode() for stream in (out, error))
    return CompletedProcess(command, code, said, told)


def askback_apart(*arguments: object, cwd: Path | None = None, **environment: str) -> CompletedProcess[str]:
    """Run the program in a process of its own, as a shell does."""
    command = [sys.executable, "-m", "askback", *map(str, arguments)]
    here = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=here, timeout=300, check=False)


def one_error(result: CompletedProcess[str], code: int) -> str:
    """Return the error line, having checked that there is one, with its exit code and no traceback."""
    assert result.returncode == code, (result.returncode, result.stderr)
    assert "Traceback" not in result.stderr
    return result.stderr
