"""Every error a user can meet, as one tree, each with its exit code.

    AskbackError              1   something a user can put right; printed as one line, without a traceback
    ├── RecipeError           2   the recipe or a command-line value is wrong
    ├── InputError            3   a file, folder, document source or model is missing or unusable
    ├── EmptyStep             4   a step would output nothing
    ├── Drift                 5   a step on disk was made by another recipe, other inputs or other code
    ├── RunBusy               6   another process is using the run folder
    ├── StorageError          7   the disk is full or cannot be written
    ├── MissingExtra          8   an optional dependency is not installed
    ├── WorkerDied            9   a worker process failed or was killed (out of memory, say)
    ├── JudgeTooWeak         10   the judge of a round tells good pairs from damaged ones no better than chance
    ├── BudgetReached        11   a limit given to the run is reached; everything finished is saved
    └── Interrupted         130   Ctrl-C; everything finished is saved

A broken *record* is not an error: it becomes a `Rejection` (records.py) and the run goes on.
"""

import errno
import re
from pathlib import Path


class AskbackError(Exception):
    """Something the user can put right. The message names where, what was found, what is allowed and what to do."""

    exit_code = 1


class RecipeError(AskbackError):
    exit_code = 2


class InputError(AskbackError):
    exit_code = 3


class EmptyStep(AskbackError):
    exit_code = 4


class Drift(AskbackError):
    exit_code = 5


class RunBusy(AskbackError):
    exit_code = 6


class StorageError(AskbackError):
    exit_code = 7


class MissingExtra(AskbackError):
    exit_code = 8

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        wanted = f"'askback[{extra}]'" if extra else package
        super().__init__(f"{purpose} needs {package}, which is not installed. Install it with: pip install {wanted}")
        self.given = (package, extra, purpose)

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str, str]]:
        return MissingExtra, self.given  # it crosses process borders


class WorkerDied(AskbackError):
    exit_code = 9


class JudgeTooWeak(AskbackError):
    exit_code = 10


class BudgetReached(AskbackError):
    exit_code = 11


class Interrupted(AskbackError):
    exit_code = 130


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return the error that an OSError while writing `path` means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"{path}: the disk is full. Everything finished is saved; free some space and run the same command again."
        )
    return StorageError(
        f"{path}: cannot write: {error.strerror or error}. Check the folder's permissions and the disk."
    )


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b|(?<=[ (])\d{12,20}(?=[),])")


def reason_of(error: BaseException) -> str:
    """Return the message of another library's error on one line, the same in every process: without memory addresses,
    and without the function in which recursion went too deep."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return " ".join(_ADDRESS.sub("…", str(error)).split())[:300]
