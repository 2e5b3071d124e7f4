"""Running a recipe from the first check to the result: what can be refused is refused before anything is spent."""

import json
from collections.abc import Sequence
from pathlib import Path

from askback.errors import InputError, Interrupted, RecipeError
from askback.execution.budget import Budget
from askback.execution.on_disk import FORECAST, ForecastFile, read_json
from askback.execution.progress import Progress
from askback.execution.run import Run, redo
from askback.lookup import nearest
from askback.methods import Page, page_of
from askback.owned import atomic
from askback.plan import Plan
from askback.plan.servers import ask_servers
from askback.recipe import RecipeFile
from askback.recipe.resources import ASKED
from askback.train.trackers import check_installed


def run(
    file: RecipeFile,
    page: Page | None = None,
    redo_steps: Sequence[str] = (),
    source: Path | None = None,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> Path:
    """Check all that can be checked, then walk a page, by default that of the recipe's method; return the run folder.

    Args:
        redo_steps: steps to make again, and with them all that is made from them.
        source: a run whose finished steps are taken over where they are the same.

    Raises:
        RecipeError: the recipe, or one of these arguments, is wrong.
        Drift: a step on disk was made with something else.
        AskbackError: what a step raises; the same call goes on from there.
    """
    page = page or page_of(file.recipe)
    names = [step.name for step in Plan(file, forecast=False, page=page).steps]
    for name in redo_steps:
        if name not in names:
            raise RecipeError(f"--redo {name}: no such step; allowed: {', '.join(names)}.{nearest(name, names)}")
    if source is not None and not (source / "recipe.yaml").exists():
        raise InputError(f"--from {source}: not a run folder (it has no recipe.yaml)")
    with Run(file, progress, source, budget) as made:
        for name in redo_steps:
            gone = redo(made.folder, name, Plan(file, forecast=False, page=page).dependants(name))
            made.progress.say(f"--redo {name}: making again {', '.join(gone) or 'nothing, as it was not made yet'}")
        try:
            check(made, page)
            made.begin()
            page(file.recipe, made)
        except KeyboardInterrupt:
            raise Interrupted("stopped at once; what was in flight is lost, all else is saved.") from None
    return made.folder


def check(made: Run, page: Page) -> None:
    """Check all that is on disk against the recipe, and what the run needs; keep the forecast of what it will take.

    Raises:
        Drift: a step on disk was made with something else.
        RecipeError: a scorer needs what its server does not offer.
        MissingExtra: a tracker is not installed.
    """
    plan = Plan(made.file, forecast=False, page=page)
    plan.drift()
    to_do = [step for step in plan.steps if step.state != "done"]
    keep_forecast(made.file, page, [step.name for step in to_do])
    if to_do:
        check_installed(made.file.resources.trackers)
        engines = {step.engine for step in to_do}
        for offer in ask_servers(made.file, tuple(role for role in ASKED if role in engines)):
            made.progress.say(offer.description)
            for note in plan.check_offer(offer):
                made.progress.say(f"{offer.role}: {note}")


def keep_forecast(file: RecipeFile, page: Page, steps: Sequence[str]) -> None:
    """Forecast what these steps will take, and write it down, unless that was done before they were begun.

    Raises:
        InputError: what a forecast looks at, corpus or seed, is not there.
    """
    path = Path(file.resources.runs) / file.name / FORECAST
    before = read_json(path, ForecastFile)["steps"] if path.exists() else {}
    if all(name in before for name in steps):
        return
    plan = Plan(file, page=page).as_json()
    made = {step["name"]: step for step in plan["steps"] if step["state"] != "done"}
    with atomic(path) as temporary:
        temporary.write_text(json.dumps({"rates": plan["rates"], "steps": made | before}, indent=2), "utf-8")
