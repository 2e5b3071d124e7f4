"""The command line. stdout carries what was asked for, stderr carries progress; exit codes are those of errors.py."""

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from askback.cli import making, results
from askback.errors import AskbackError, BudgetReached, Interrupted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Instruction backtranslation: documents people wrote become instruction-tuning data and models.",
    epilog="Exit codes: 0 done, 1 error, 2 recipe or command line wrong, 3 bad input, 4 a step would output nothing, "
    "5 step on disk made with something else, 6 run folder in use, 7 disk full or not writable, 8 extra not installed, "
    "9 a worker died, 10 the judge is no better than chance, 11 budget reached, 130 interrupted.",
)
COMMANDS: list[Callable[..., None]] = [
    *(making.init, making.plan, making.preview, making.corpus, making.run, making.join, making.status),
    *(results.export, results.report, results.review, results.evaluate, results.study, results.calibrate),
    *(making.demo, making.models),
]
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line; every error a user can meet is one message and an exit code."""
    try:
        app(standalone_mode=True)
    except AskbackError as error:
        _fail(str(error) if isinstance(error, BudgetReached | Interrupted) else f"error: {error}", error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"error: {where}{error.strerror or error}", 7)


def _fail(message: str, exit_code: int) -> NoReturn:
    from askback.recipe.variables import hide

    print(hide(message), file=sys.stderr)  # noqa: T201
    raise SystemExit(exit_code) from None
