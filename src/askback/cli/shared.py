"""What several commands take and do."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from askback.errors import InputError, Interrupted, RecipeError

if TYPE_CHECKING:
    from askback.execution.budget import Budget
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


def run_page(
    file: "RecipeFile",
    redo_steps: list[str],
    source: Path | None,
    page: Callable[..., Any] | None = None,
    budget: "Budget | None" = None,
) -> Path:
    """Check everything that can be checked, then run the page (by default the whole loop); return the run folder."""
    from askback.execution.progress import Progress
    from askback.execution.run import Run, redo
    from askback.lookup import nearest
    from askback.methods.humpback import backtranslate
    from askback.plan import Plan

    names = [step.name for step in Plan(file, forecast=False).steps]
    for name in redo_steps:
        if name not in names:
            raise RecipeError(f"--redo {name}: no such step; allowed: {', '.join(names)}.{nearest(name, names)}")
    if source is not None and not (source / "recipe.yaml").exists():
        raise InputError(f"--from {source}: not a run folder (it has no recipe.yaml)")
    with Run(file, Progress(), source, budget) as run:
        for name in redo_steps:
            gone = redo(run.folder, name, Plan(file, forecast=False).dependants(name))
            run.progress.say(f"--redo {name}: making again {', '.join(gone) or 'nothing, as it was not made yet'}")
        try:
            run.begin()
            (page or backtranslate)(file.recipe, run)
        except KeyboardInterrupt:
            raise Interrupted("stopped at once; what was in flight is lost, all else is saved.") from None
    return run.folder


def closing(folder: Path) -> None:
    from askback.report.terminal import show_funnel, show_losses

    show_funnel(folder, console())
    show_losses(folder, console())


def console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)
