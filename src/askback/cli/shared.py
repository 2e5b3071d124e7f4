"""What several commands take and do."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from askback.recipe import RecipeFile

RecipePath = Annotated[
    Path, typer.Argument(help="A recipe file, or a name from `askback init --list`.", metavar="RECIPE")
]
RunPath = Annotated[Path, typer.Argument(help="A run folder, as in runs/demo.", metavar="RUN")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change a value: recipe.rounds=1", metavar="KEY=VALUE")]
Redo = Annotated[
    list[str] | None, typer.Option(help="Make this step again, and all that follows from it.", metavar="STEP")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def recipes() -> Path:
    """Return the folder of shipped recipes: inside the installed package, or beside `src` in a checkout."""
    here = Path(__file__).parents[1]
    return next(folder for folder in (here / "recipes", here.parents[1] / "recipes") if folder.is_dir())


def load(recipe: Path, set: list[str] | None) -> "RecipeFile":
    from askback.recipe.file import load_recipe

    shipped = recipes() / f"{recipe}.yaml"
    named = len(recipe.parts) == 1 and not recipe.suffix and not recipe.is_file() and shipped.exists()
    return load_recipe(shipped if named else recipe, set)


def closing(folder: Path) -> None:
    from askback.report.terminal import show_funnel, show_losses

    show_funnel(folder, console())
    show_losses(folder, console())


def console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)
