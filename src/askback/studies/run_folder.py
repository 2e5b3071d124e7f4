"""A finished run folder: its steps, its result, its data, its losses, and studies of them inside it.

Only the folder's files are read, so that a run of an earlier version, or one whose inputs are gone, can be read too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from askback.engines import kind_of
from askback.errors import InputError, RecipeError
from askback.execution.budget import Budget
from askback.execution.identity import (
    Model,
    P,
    StepFunction,
    T,
    Wanted,
    ancestors,
    asked,
    base_model,
    fingerprint,
    given,
    handle,
    identify,
    trained_model,
)
from askback.execution.on_disk import LossRecord, ResultRecord, checked, reading, step_record
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.lookup import nearest
from askback.methods import names
from askback.models import resolve
from askback.recipe import EngineOptions, RecipeFile
from askback.recipe.file import load_recipe
from askback.records import Example


def finished(folder: Path) -> list[dict[str, Any]]:
    """Return the record (``step.json``) of every finished step, in the order they were made.

    Raises:
        InputError: this is no run folder.
    """
    if not (folder / "recipe.yaml").exists():
        raise InputError(
            f"{folder}: not a run folder (it has no recipe.yaml). Run folders are made by: askback run RECIPE"
        )
    rounds = checked(folder / "recipe.yaml", recipe_tree(folder).get("rounds", 0), int)
    found_steps = [path for path in folder.glob("*/step.json") if not path.parent.name.startswith(".")]
    found: list[dict[str, Any]] = [
        {"seconds": 0.0, "tokens": 0, **step_record(path.parent), "step": path.parent.name}
        for path in found_steps
        if names.round_of(path.parent.name) <= rounds
    ]
    return sorted(found, key=lambda step: float(step["finished"]))


def recipe_tree(folder: Path) -> dict[str, Any]:
    """Return the part `recipe` of a run's recipe.yaml.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / "recipe.yaml"
    with reading(path):
        tree = yaml.safe_load(path.read_bytes())["recipe"]
    return checked(path, tree, dict[str, Any])


def losses(folder: Path, on: Callable[[str], str] = names.loss) -> dict[str, dict[str, float]]:
    """Return, by model ("base", "m0", …), the loss in nats per token, and the numbers of tokens and pairs.

    It is that on held-out seed pairs, or, `on` `names.unseen`, on pairs of documents that are set aside, if there are any.
    """
    steps = {step["step"]: step["metrics"] for step in finished(folder)}
    found = {model: steps[on(model)] for model in names.measured(steps, on)}
    found = {model: metrics for model, metrics in found.items() if metrics.get("loss") is not None}
    for model, metrics in found.items():
        checked(folder / on(model) / "step.json", metrics, LossRecord)
    return found


@dataclass(frozen=True)
class Result:
    """The decision of the gate (evaluate/gate.py): the round of the result, and the comparison of each later round.

    `data_round` is the round whose chosen pairs are the run's data: the result's, or, where that is M_0, which was trained
    on the seed alone, the round of the model of least loss after it, on pairs of documents where that is measured.
    """

    round: int
    data_round: int
    rounds: int
    enabled: bool
    gates: list[dict[str, Any]]
    said: str = ""
    """A sentence on how it compares with M_0; "" of M_0 itself."""


def result(folder: Path) -> Result | None:
    """Return the decision of the gate, None while the run is not finished."""
    record = folder / names.RESULT / "step.json"
    if not record.exists():
        return None
    found = checked(record, step_record(record.parent)["metrics"], ResultRecord)
    with reading(record):
        measured = losses(folder, names.unseen) or losses(folder)
        by_round = {gate["round"]: measured[names.model(gate["round"])]["loss"] for gate in found["gates"]}
    closest = min(by_round, key=lambda t: by_round[t], default=0)
    rounds, gates = len(found["gates"]), [dict(gate) for gate in found["gates"]]
    return Result(found["round"], found["round"] or closest, rounds, found["enabled"], gates, found.get("said", ""))


def data_round(folder: Path) -> int:
    """Return the round whose chosen pairs are the run's data, 0 while there are none.

    Export, report, samples, evaluation and study all use it.
    """
    rounds = names.rounds(names.choice, (step["step"] for step in finished(folder)))
    found = result(folder)
    return found.data_round if found else max(rounds, default=0)


def data_step(folder: Path) -> str:
    """Return the step whose pairs are the run's data, "" while there are none: the choice of `data_round`, or, where a run
    rewrites them, those of them that are kept."""
    made = {step["step"] for step in finished(folder)}
    if (folder / names.REWRITTEN).is_dir():
        return names.GROUNDED if names.GROUNDED in made else ""
    return names.choice(t) if (t := data_round(folder)) else ""


def chosen(folder: Path) -> Records[Example]:
    """Return the pairs that are the run's data (`data_step`).

    Raises:
        InputError: there are none yet.
    """
    if not (step := data_step(folder)):
        raise InputError(f"{folder}: no pairs are selected yet. Finish the run first: askback run RECIPE")
    return Records(folder / step, "")


def preferred(folder: Path) -> Records[Example]:
    """Return the pairs whose output a judge prefers to the original.

    Raises:
        InputError: there are none.
    """
    found = Records[Example](folder / names.PREFERRED, "")
    if not (found.folder / "step.json").exists() or not len(found):
        raise InputError(
            f"{folder}: no rewrite was preferred to its original, or none was compared with it; method back_and_forth "
            "compares them where the recipe gives prefer: {}"
        )
    return found


def trained_on(folder: Path) -> Iterator[Example]:
    """Yield what people wrote for M_0: the seed, both sides of it, and natural pairs where they serve as seed."""
    yield from Records[Example](folder / names.SEED, "")
    if recipe_tree(folder).get("natural", {}).get("use") == "seed":
        yield from Records[Example](folder / names.NATURAL, "")


@dataclass
class RunFolder:
    """The finished steps of a run, by their records; the run's inputs need not exist."""

    folder: Path
    file: RecipeFile
    steps: dict[str, str] = field(default_factory=dict)
    """Name → fingerprint of each finished step, in the order they were made."""

    @cached_property
    def base(self) -> Model:
        """Return the base model, fetched if need be."""
        recipe = self.file.recipe
        return base_model(recipe.base, recipe.chat_template, resolve(recipe.base, recipe.chat_template))

    @property
    def models(self) -> list[str]:
        """Return the names of its models: base, if there is one, m0, m1, …"""
        trained = (names.model(t) for t in range(self.file.recipe.rounds + 1))
        return [*([names.BASE] if self.file.recipe.base else []), *(name for name in trained if name in self.steps)]

    @property
    def result(self) -> str:
        """Return the name of its result: the gate's, or else the last model, "" where there is none."""
        found = result(self.folder)
        return names.model(found.round) if found else next(reversed(self.models), "")

    @property
    def chosen(self) -> str | None:
        """Return the step whose pairs are the run's data, None while there is none."""
        return data_step(self.folder) or None

    @property
    def judged(self) -> str | None:
        """Return the last step in which candidates were judged, None while there is none."""
        rounds = names.rounds(names.judgements, self.steps)
        return names.judgements(rounds[-1]) if rounds else None

    def quality(self, name: str) -> str:
        """Return the best quality of a model trained with `select.bins`, "" of another one."""
        bins = self.file.recipe.select.bins
        return f"{bins} of {bins}" if bins and name not in (names.BASE, names.model(0)) else ""

    def model(self, name: str) -> Model:
        """Return one of its models.

        Raises:
            RecipeError: it has none of that name.
            InputError: it was trained by an earlier version, which left no bfloat16 form of it.
        """
        if name not in self.models:
            allowed = ", ".join(self.models)
            raise RecipeError(f"{name}: no such model in {self.folder}; it has {allowed}.{nearest(name, self.models)}")
        if name == names.BASE:
            return self.base
        model = trained_model(self.folder / name, name, self.steps[name])
        if model.bfloat16 is None or not model.bfloat16.is_dir():
            raise InputError(
                f"{self.folder / name}: has no {model.bfloat16 and model.bfloat16.name}, as an earlier version trained it; "
                f"train it again: askback run RECIPE --redo {name}"
            )
        return model

    def records(self, name: str) -> Records[Any]:
        """Return the records of a finished step."""
        return Records(self.folder / name, self.steps[name])

    def judge(self, name: str, engine: EngineOptions) -> Model:
        """Return the judge: a server's model, one of the run's, or another by name."""
        if kind_of(engine.kind).served:
            return Model(Path(), engine.model or engine.url, "")
        return self.model(name) if name in self.models else base_model(name, "", resolve(name))

    def inside(
        self,
        name: str,
        progress: Progress | None,
        judge: EngineOptions | None = None,
        random_seed: int | None = None,
        budget: Budget | None = None,
        runs: Path | None = None,
    ) -> Run:
        """Return a run of the same recipe in a folder inside this one, for a study of it.

        Args:
            judge: the engine of the role "compare", if not the recipe's.
            random_seed: of its steps, if not the recipe's.
            runs: a folder for it other than this one.
        """
        resources = self.file.resources.model_copy(update={"runs": str(runs or self.folder)})
        if judge is not None:
            engines = resources.engines.model_copy(update={"compare": judge})
            resources = resources.model_copy(update={"engines": engines})
        recipe = self.file.recipe
        if random_seed is not None:
            recipe = recipe.model_copy(update={"random_seed": random_seed})
        file = self.file.model_copy(update={"name": name, "recipe": recipe, "resources": resources})
        return Run(file, progress, budget=budget)

    def same_step(
        self,
        run: Run,
        name: str,
        function: StepFunction[Wanted, P, T],
        options: Wanted,
        *args: P.args,
        **inputs: P.kwargs,
    ) -> T | None:
        """Return this run's own step of that name if `run` would make the same, None otherwise."""
        found = asked(function, given(inputs), run.file.resources)
        identity = identify(name, function, options, found, run.file)
        if self.steps.get(name) != fingerprint(identity):
            return None
        return handle(self.folder / name, name, function, identity, ancestors(found))


def look(folder: Path) -> RunFolder:
    """Return the finished steps of a run folder.

    Raises:
        InputError: it is no run folder, or its seed is not loaded yet.
    """
    if not (folder / "recipe.yaml").exists():
        raise InputError(
            f"{folder}: not a run folder (it has no recipe.yaml). Run folders are made by: askback run RECIPE"
        )
    found = RunFolder(folder.resolve(), load_recipe(folder / "recipe.yaml", unset=True))
    found.steps = {step["step"]: str(step["fingerprint"]) for step in finished(folder)}
    if names.SEED not in found.steps and found.file.recipe.seed.sources:
        raise InputError(
            f"{folder}: its seed is not loaded yet, so there is nothing to look at. First: askback run RECIPE"
        )
    return found


def side_by_side(
    run: Run, name: str, function: StepFunction[Wanted, P, T], options: Wanted, *args: P.args, **inputs: P.kwargs
) -> T:
    """Make a step in a folder whose name has the step's fingerprint, so that variants (other prompts, another judge) of
    one study stand side by side."""
    mark = fingerprint(identify(name, function, options, given(inputs), run.file))[:8]
    return run.step(f"{name}-{mark}", function, options, *args, **inputs)


def metrics(step: Records[Any]) -> dict[str, Any]:
    """Return the metrics of a step."""
    return step_record(step.folder)["metrics"]
