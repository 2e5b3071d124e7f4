"""A run folder looked at afterwards: which models and records it holds, and steps inside it about them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from askback.engines import kind_of
from askback.errors import InputError, RecipeError
from askback.execution.identity import Input, Model, base_model, fingerprint, identify, trained_model
from askback.execution.on_disk import ResultRecord, checked, made_by, step_record
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.lookup import nearest
from askback.models import resolve
from askback.recipe import EngineOptions, Options, RecipeFile
from askback.recipe.file import load_recipe

T = TypeVar("T", bound=Records | Model)


@dataclass
class RunFolder:
    """What a run has made so far, known by the records that its finished steps left; its inputs need not be here."""

    folder: Path
    file: RecipeFile
    steps: dict[str, str] = field(default_factory=dict)
    """Name → fingerprint of each finished step, in the order of the page."""

    @cached_property
    def base(self) -> Model:
        """Return the base model, fetched if need be."""
        recipe = self.file.recipe
        return base_model(recipe.base, recipe.chat_template, resolve(recipe.base, recipe.chat_template))

    @property
    def models(self) -> list[str]:
        """Return the names of its models: base, m0, m1, …"""
        return ["base", *(name for name in self.steps if re.fullmatch(r"m\d+", name))]

    @property
    def result(self) -> str:
        """Return the name of its result: what the gate between rounds let through, or else its last model."""
        record = self.folder / "result" / "step.json"
        if not record.exists():
            return self.models[-1]
        return f"m{checked(record, step_record(record.parent)['metrics'], ResultRecord)['round']}"

    @property
    def chosen(self) -> str | None:
        """Return the step whose pairs are the run's data: the choice its result was trained on, or else the last."""
        own = f"select-{self.result[1:]}"
        return own if own in self.steps else self.last("select-")

    def quality(self, name: str) -> str:
        """Return the best quality that one of its models knows, "" if it was not trained with any (`select.bins`)."""
        bins = self.file.recipe.select.bins
        return f"{bins} of {bins}" if bins and name not in ("base", "m0") else ""

    def model(self, name: str) -> Model:
        """Return one of its models.

        Raises:
            RecipeError: it has none of that name.
            InputError: it was trained by an earlier version, which left no bfloat16 form of it.
        """
        if name not in self.models:
            allowed = ", ".join(self.models)
            raise RecipeError(f"{name}: no such model in {self.folder}; it has {allowed}.{nearest(name, self.models)}")
        if name == "base":
            return self.base
        model = trained_model(self.folder / name, name, self.steps[name])
        if model.bfloat16 is None or not model.bfloat16.is_dir():
            raise InputError(
                f"{self.folder / name}: has no {model.bfloat16 and model.bfloat16.name}, as an earlier version trained it; "
                f"train it again: askback run RECIPE --redo {name}"
            )
        return model

    def records(self, name: str) -> Records:
        """Return what a finished step kept."""
        return Records(self.folder / name, self.steps[name])

    def last(self, prefix: str) -> str | None:
        """Return the last round's step of a kind ("score-", "select-"), None if there is none yet."""
        return next((name for name in reversed(self.steps) if name.startswith(prefix)), None)

    def judge(self, name: str, engine: EngineOptions) -> Model:
        """Return the model that compares: one of the run's, another by name, or that of a server, whatever the name."""
        if kind_of(engine.kind).served:
            return Model(Path(), engine.model or engine.url, "")
        return self.model(name) if name in self.models else base_model(name, "", resolve(name))

    def inside(self, name: str, progress: Progress | None, judge: EngineOptions | None = None) -> Run:
        """Return a run of the same recipe in a folder of this one, for what is asked about it afterwards.

        Args:
            judge: the engine of the role "compare", if it is not the recipe's.
        """
        resources = self.file.resources.model_copy(update={"runs": str(self.folder)})
        if judge is not None:
            engines = resources.engines.model_copy(update={"compare": judge})
            resources = resources.model_copy(update={"engines": engines})
        return Run(self.file.model_copy(update={"name": name, "resources": resources}), progress)


def look(folder: Path) -> RunFolder:
    """Find out what a run folder holds.

    Raises:
        InputError: it is no run folder, or its seed is not loaded yet.
    """
    if not (folder / "recipe.yaml").exists():
        raise InputError(
            f"{folder}: not a run folder (it has no recipe.yaml). Run folders are made by: askback run RECIPE"
        )
    found = RunFolder(folder.resolve(), load_recipe(folder / "recipe.yaml", unset=True))
    page = ["seed", "augment", "loss-base", "m0", "loss-m0"]
    page += [
        f"{step}{t}" for t in range(1, found.file.recipe.rounds + 1) for step in ("score-", "select-", "m", "loss-m")
    ]
    for name in page:
        record = found.folder / name / "step.json"
        if record.exists():
            found.steps[name] = made_by(record.parent)
    if "seed" not in found.steps:
        raise InputError(
            f"{folder}: its seed is not loaded yet, so there is nothing to look at. First: askback run RECIPE"
        )
    return found


def side_by_side(run: Run, name: str, function: Callable[..., T], options: Options, **inputs: Input) -> T:
    """Make a step in a folder that carries the step's fingerprint.

    So what is asked in several ways (other prompts, another judge) stands side by side, and nothing is refused.
    """
    mark = fingerprint(identify(name, function, options, inputs, run.file))[:8]
    return run.step(f"{name}-{mark}", function, options, **inputs)


def metrics(step: Records) -> dict[str, Any]:
    """Return what a step measured."""
    return step_record(step.folder)["metrics"]
