"""The forecast that was made when a run began, kept beside what it then took."""

import json
from collections.abc import Sequence
from pathlib import Path

from askback.execution.on_disk import FORECAST, ForecastFile, read_json
from askback.methods import Page
from askback.owned import atomic
from askback.recipe import RecipeFile


def keep_forecast(file: RecipeFile, page: Page, steps: Sequence[str]) -> None:
    """Forecast what these steps will take, and write it down, unless that was done before they were begun.

    Raises:
        InputError: what a forecast looks at, corpus or seed, is not there.
    """
    from askback.plan import Plan

    path = Path(file.resources.runs) / file.name / FORECAST
    before = read_json(path, ForecastFile)["steps"] if path.exists() else {}
    if all(name in before for name in steps):
        return
    plan = Plan(file, page=page).as_json()
    made = {step["name"]: step for step in plan["steps"] if step["state"] != "done"}
    with atomic(path) as temporary:
        temporary.write_text(json.dumps({"rates": plan["rates"], "steps": made | before}, indent=2), "utf-8")
