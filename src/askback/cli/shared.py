"""Arguments and helpers that several commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from askback.errors import Interrupted

if TYPE_CHECKING:
    from askback.recipe import RecipeFile

RecipePath = Annotated[
    Path, typer.Argument(help="A recipe file, or a name from `askback init --list`.", metavar="RECIPE")
]
RunPath = Annotated[Path, typer.Argument(help="A run folder, as in runs/demo.", metavar="RUN")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a value, as in recipe.rounds=1.", metavar="KEY=VALUE")
]
Redo = Annotated[list[str] | None, typer.Option(help="Make this step and all that depend on it again.", metavar="STEP")]
Limit = Annotated[int | None, typer.Option(min=1, help="Largest number of prompts to take of a set.")]
MaxHours = Annotated[float | None, typer.Option(min=0, help="Hours of work after which the run stops.")]
MaxTokens = Annotated[
    int | None, typer.Option(min=0, help="Tokens read, written and trained on after which the run stops.")
]
MaxUsd = Annotated[
    float | None, typer.Option(min=0, help="US dollars, by the recipe's prices, after which the run stops.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def recipes() -> Path:
    """Return the folder of shipped recipes: inside the installed package, or beside `src` in a checkout."""
    here = Path(__file__).parents[1]
    return next(folder for folder in (here / "recipes", here.parents[1] / "recipes") if folder.is_dir())


def load(recipe: Path, set: list[str] | None) -> "RecipeFile":
    """Read a recipe file, or a shipped recipe by its name."""
    from askback.recipe.file import load_recipe

    shipped = recipes() / f"{recipe}.yaml"
    named = len(recipe.parts) == 1 and not recipe.suffix and not recipe.is_file() and shipped.exists()
    return load_recipe(shipped if named else recipe, set)


@contextmanager
def stopping() -> Iterator[None]:
    """Raise `Interrupted` in place of KeyboardInterrupt.

    Raises:
        Interrupted: the user pressed Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; work in flight is lost, all else is saved.") from None


def listed(text: str) -> list[str]:
    """Return the items of a list with commas between."""
    return [item.strip() for item in text.split(",") if item.strip()]


def closing(folder: Path) -> None:
    """Print the funnel and the losses of a run."""
    from askback.report.terminal import show_funnel, show_losses

    show_funnel(folder, console())
    show_losses(folder, console())


def console() -> Any:
    """Return rich's console on stdout; 120 columns wide where that is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)
