"""Looking ahead: which steps a recipe has, which are done, and what the others will take. Runs nothing, loads no model.

`Plan` walks the page of a method in place of a `Run`, so that the plan cannot drift from what is run.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from askback.engines import Offer, kind_of
from askback.errors import Drift, RecipeError
from askback.execution.budget import cost
from askback.execution.forecast import Base, ForecastContext, Pairs, Refusals, finished
from askback.execution.identity import (
    NO_MODEL,
    Input,
    Model,
    P,
    StepFunction,
    T,
    Wanted,
    ancestors,
    asked,
    base_model,
    given,
    handle,
    identify,
    server_model,
)
from askback.execution.processes import Drain
from askback.execution.shards import Records
from askback.methods import Page, names, page_of
from askback.models import check_model, is_remote, resolve
from askback.plan.machine import card_of, cards_asking, cards_of_server, check_packages, does_not_fit, no_room
from askback.plan.planned_step import PlannedStep
from askback.plan.rates import rates_for
from askback.recipe import RecipeFile


class Plan:
    """The steps of a recipe, in order."""

    def __init__(
        self,
        file: RecipeFile,
        forecast: bool = True,
        source: Path | None = None,
        page: Page | None = None,
        of_card: Path | None = None,
    ) -> None:
        """Walk a page, by default that of the recipe's method. With `forecast`, sample the inputs for counts and lengths;
        without, only names and states.

        Args:
            source: a run folder whose finished steps tell how fast things go, where nothing nearer does.
            of_card: what ``benchmarks/gpu.py --json`` printed, where nothing else tells.
        """
        self.file = file
        self.folder = Path(file.resources.runs) / file.name
        self.steps: list[PlannedStep] = []
        self.documents: dict[str, int] = {}
        self.seed_rows: list[str] = []  # what is made of the first rows of each file of seed pairs
        self.notes: list[str] = []
        """What is to be said of the plan: where the engine or the machine cannot give what the recipe asks for, and what
        will not come out as hoped."""
        self.refusals = Refusals(at_once=not forecast)
        self._forecast = forecast
        self._base = Base(file.recipe, self.refusals)
        self._known: dict[str, Pairs] = {}
        self._checks: list[tuple[str, Callable[[frozenset[str]], list[str]]]] = []
        self._source, self._of_card = source, of_card
        if forecast:
            check_packages(file, self.refusals)
        (page or page_of(file.recipe))(file.recipe, self)
        if forecast:
            self._reckon()
            self._weigh()

    def base(self) -> Model:
        """Return the base model's handle, checked as far as that goes without fetching it."""
        recipe = self.file.recipe
        if not recipe.base:
            return NO_MODEL
        if Path(recipe.base).expanduser().is_dir():
            with self.refusals.noted():
                check_model(Path(recipe.base).expanduser(), recipe.chat_template)
        elif not is_remote(recipe.base):
            resolve(recipe.base)  # says what is wrong with the name
        return base_model(self.file.recipe.base, self.file.recipe.chat_template, Path(self.file.recipe.base))

    def server(self, role: str) -> Model | None:
        """Return the model of the server that is asked in this role, None where one of the run's own is asked."""
        return server_model(self.file.resources.engine_for(role))

    def has(self, records: Records[Any]) -> bool:
        """Return whether the step is finished."""
        return any(step.name == records.folder.name and step.state == "done" for step in self.steps)

    def step(
        self, name: str, function: StepFunction[Wanted, P, T], options: Wanted, *args: P.args, **inputs: P.kwargs
    ) -> T:
        """Look at one step.

        Raises:
            RecipeError: its engine cannot do what the options ask for.
        """
        folder = self.folder / name
        found = asked(function, given(inputs), self.file.resources)
        identity = identify(name, function, options, found, self.file)
        through = ancestors(found)
        output = handle(folder, name, function, identity, through)
        step = PlannedStep(name, "to do", through, function.engine)
        step.look_at_disk(folder, identity)
        self.steps.append(step)
        if function.engine:
            self._check_engine(function, options)
        if self._forecast:
            self._look_ahead(step, function, options, found)
        return output

    def _check_engine(self, function: StepFunction[Wanted, P, T], options: Wanted) -> None:
        """Note what a step has to do without on its engine, and keep the question for a server that tells more."""
        kind = self.file.resources.engine_for(function.engine).kind
        check = partial(function.check, options, self.file.recipe, kind)
        self._note(*check(kind_of(kind).calls))
        self._checks.append((function.engine, check))

    def check_offer(self, offer: Offer) -> list[str]:
        """Return what steps have to do without on a server that has told what it offers.

        Raises:
            RecipeError: one of them cannot do without.
        """
        found = [note for role, check in self._checks if role == offer.role for note in check(offer.calls)]
        return list(dict.fromkeys(found))

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "run": str(self.folder),
            "seed": self.seed_rows,
            "documents": self.documents,
            "notes": self.notes,
            "rates": str(self.rates),
            "tokenizer": self.tokenizer is not None,
            "device_hours": self.device_hours,
            "steps": [step.plain() for step in self.steps],
        }

    @property
    def device_hours(self) -> float:
        """Hours in which a model is at work, of all devices together."""
        resources, working = self.file.resources, [step for step in self.steps if any(step.forecast.tokens)]
        devices = [
            resources.training.total if step.forecast.tokens.train else cards_asking(resources, step.role)
            for step in working
        ]
        return sum(step.seconds * number for step, number in zip(working, devices, strict=True)) / 3600

    def measure(self) -> None:
        """Have the base model work for a minute to see how fast it is, and reckon with that (plan/measure.py).

        Raises:
            InputError: the base model cannot be had.
            RecipeError: the recipe trains none.
            Interrupted: Ctrl-C.
        """
        from askback.plan.measure import measure

        if self.file.recipe.forward is None:
            raise RecipeError(
                "plan --measure measures a model that is trained, and this recipe trains none; askback preview asks for a "
                "few pairs and tells what all will cost"
            )
        with Drain(lambda _: None) as drain:
            pairs, candidates = (list(self._known[step].sample) for step in (names.SEED, names.CANDIDATES))
            measure(self.file.recipe, self.file.resources, pairs, candidates, self.folder, drain)
        self._reckon()

    def _reckon(self) -> None:
        """Work out time and money from tokens and rates."""
        resources = self.file.resources
        roles = {step.name: step.engine for step in self.steps}
        self.rates = rates_for(self.folder, resources, roles, self._source, self._base.parameters, self._of_card)
        for step in self.steps:
            if step.state != "done":
                step.seconds = self.rates.seconds(step.role, step.forecast.tokens)
                step.usd = cost(step.forecast.tokens, step.seconds, resources.engine_for(step.role), resources)

    def _weigh(self) -> None:
        """Note what does not fit the memory of the card."""
        if (card := card_of(self.file.resources)) is not None:
            resources = self.file.resources
            engines = [resources.engine_for(role) for role in names.ROLES]
            asked = self._base.parameters * max(
                kind_of(engine.kind).weight_bytes / cards_of_server(resources, engine)[0] for engine in engines
            )
            trainings = {step.name: step.forecast.memory for step in self.steps if step.forecast.memory}
            self._note(*does_not_fit(card, trainings, asked / 1e9))
        needed = sum(step.forecast.disk for step in self.steps if step.state != "done")
        self._note(*no_room(self.folder, needed + max(step.forecast.scratch for step in self.steps)))

    @property
    def tokenizer(self) -> Any:
        """The base model's tokenizer, None if that, or the library, is not here."""
        return self._base.tokenizer

    def dependants(self, name: str) -> list[str]:
        """Return the steps that are made from `name`'s output, directly or not."""
        return [step.name for step in self.steps if name in step.inputs]

    def drift(self) -> None:
        """Refuse to go on over steps that were made with something else.

        Raises:
            Drift: the first such step; those after it follow from it.
        """
        for step in self.steps:
            if step.drift:
                raise Drift(step.drift)

    def _look_ahead(
        self, step: PlannedStep, function: StepFunction[Wanted, P, T], options: Wanted, inputs: dict[str, Input]
    ) -> None:
        """Ask a step function for its forecast, or read what is finished, and keep what it makes for the steps after it."""
        folder, seed = self.folder / step.name, self._known.get(names.SEED, Pairs())
        known = {}
        for name, value in inputs.items():
            sets = [value] if isinstance(value, Records | Model) else value
            known[name] = [self._known.get(one.folder.name, Pairs()) for one in sets if isinstance(one, Records)]
        context = ForecastContext(folder, known, seed, self.file, self._base, self.refusals, self._source)
        step.forecast = finished(folder) if step.state == "done" else function.forecast(options, context)
        self._known[step.name] = replace(step.forecast.made, folder=folder)
        self._note(*step.forecast.notes)
        self.seed_rows += step.forecast.rows
        self.documents |= step.forecast.documents

    def _note(self, *notes: str) -> None:
        self.notes += [note for note in dict.fromkeys(notes) if note not in self.notes]


__all__ = ["Plan", "PlannedStep"]
