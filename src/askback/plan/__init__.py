"""Looking ahead: which steps a recipe has, which are done, and what the others will take. Runs nothing, loads no model.

`Plan` walks the page of a method in place of a `Run`, so that the plan cannot drift from what is run.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from askback.corpus.dedup import deduplication_bytes
from askback.curate.choose import least_score
from askback.curate.measures import FEWEST
from askback.curate.scorers.trial import check_calls
from askback.engines import Offer, kind_of
from askback.errors import Drift
from askback.execution.budget import cost
from askback.execution.identity import (
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
from askback.methods import Page, names, page_of
from askback.models import check_model, is_remote, resolve, template_file
from askback.plan import tokens as counting
from askback.plan.devices import card_of, does_not_fit, parameters, training_gigabytes
from askback.plan.planned_step import PlannedStep, record_sets, step_of
from askback.plan.rates import rates_for
from askback.plan.refusals import Refusals, check_packages, check_training, no_room
from askback.plan.sample import Pairs, augmented, entered, of_corpus, of_finished, of_judge, of_seed
from askback.plan.template import try_pairs
from askback.plan.thresholds import chosen, known_scores
from askback.recipe import Augment, Corpus, Gate, HeldOut, Judge, Options, RecipeFile, Score, Seed, Select, Training
from askback.recipe.variables import hide
from askback.seed.load import first_rows
from askback.train.training_rows import schedule


class Plan:
    """The steps of a recipe, in order."""

    def __init__(
        self, file: RecipeFile, forecast: bool = True, source: Path | None = None, page: Page | None = None
    ) -> None:
        """Walk a page, by default that of the recipe's method. With `forecast`, sample the inputs for counts and lengths;
        without, only names and states.

        Args:
            source: a run folder whose finished steps tell how fast things go, where nothing nearer does.
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
        self._known: dict[str, Pairs] = {}
        self._source = source
        if forecast:
            check_packages(file, self.refusals)
        (page or page_of(file.recipe))(file.recipe, self)
        if forecast:
            self._reckon()
            self._weigh()

    def base(self) -> Model:
        """Return the base model's handle, checked as far as that goes without fetching it."""
        recipe = self.file.recipe
        if recipe.base and Path(recipe.base).expanduser().is_dir():
            with self.refusals.noted():
                check_model(Path(recipe.base).expanduser(), recipe.chat_template)
        elif not is_remote(recipe.base):
            resolve(recipe.base)  # says what is wrong with the name
        return base_model(self.file.recipe.base, self.file.recipe.chat_template, Path(self.file.recipe.base))

    def server(self, role: str) -> Model | None:
        """Return the model of the server that is asked in this role, None where one of the run's own is asked."""
        return server_model(self.file.resources.engine_for(role))

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
        role = "train" if isinstance(options, Training) else function.engine
        step = PlannedStep(name, "to do", through, role=role)
        step.look_at_disk(folder, identity)
        self.steps.append(step)
        if isinstance(options, Score):
            self._check_engine(options)
        if self._forecast:
            self._look_ahead(step, options, found)
        return output

    def _check_engine(self, options: Score) -> None:
        kind, select = self.file.resources.engine_for("score").kind, self.file.recipe.select
        for said in check_calls(options, kind, self._judge_calls, select):
            self._note(said)

    @cached_property
    def _judge_calls(self) -> frozenset[str]:
        return kind_of(self.file.resources.engine_for("score").kind).calls

    def check_offer(self, offer: Offer) -> list[str]:
        """Return what the scorers have to do without on a server that has told what it offers.

        Raises:
            RecipeError: one of them cannot do without.
        """
        if offer.role != "score":
            return []
        recipe = self.file.recipe
        return check_calls(recipe.score, self.file.resources.engine_for("score").kind, offer.calls, recipe.select)

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
        """Hours in which a model is at work, on one device."""
        return sum(step.seconds for step in self.steps if any(step.tokens)) / 3600

    def measure(self) -> None:
        """Have the base model work for a minute to see how fast it is, and reckon with that (plan/measure.py).

        Raises:
            InputError: the base model cannot be had.
            Interrupted: Ctrl-C.
        """
        from askback.plan.measure import measure

        with Drain(lambda _: None) as drain:
            pairs, candidates = (list(self._known[step].sample) for step in (names.SEED, names.CANDIDATES))
            measure(self.file.recipe, self.file.resources, pairs, candidates, self.folder, drain)
        self._reckon()

    def _reckon(self) -> None:
        """Work out time and money from tokens and rates."""
        resources = self.file.resources
        self.rates = rates_for(self.folder, resources, self._source, self._parameters)
        for step in self.steps:
            if step.state != "done":
                step.seconds = self.rates.seconds(step.role, step.tokens)
                step.usd = cost(step.tokens, step.seconds, resources.engine_for(step.role), resources)

    def _weigh(self) -> None:
        """Note what does not fit the memory of the card."""
        if (card := card_of(self.file.resources)) is not None:
            engines = [self.file.resources.engine_for(role) for role in names.ROLES]
            asked = self._parameters * max(kind_of(engine.kind).weight_bytes for engine in engines)
            trainings = {step.name: step.memory for step in self.steps if step.memory}
            for said in does_not_fit(card, trainings, asked / 1e9):
                self._note(said)
        needed = sum(step.disk for step in self.steps if step.state != "done")
        for said in no_room(self.folder, needed + max(step.scratch for step in self.steps)):
            self._note(said)

    @cached_property
    def _ruler(self) -> counting.Ruler:
        return counting.Ruler(self.tokenizer)

    @cached_property
    def tokenizer(self) -> Any:
        """The base model's tokenizer, None if that, or the library, is not here."""
        from askback.engines.local.loading import load_tokenizer

        folder = self._base_folder
        found = None
        with self.refusals.noted():
            found = load_tokenizer(folder, self.file.recipe.chat_template) if folder else None
        return found if getattr(found, "chat_template", None) else None

    @property
    def _template(self) -> str:
        assert self._base_folder is not None
        return template_file(self._base_folder, self.file.recipe.chat_template)

    @cached_property
    def _base_folder(self) -> Path | None:
        from askback.models.builtin import cached

        name = self.file.recipe.base
        if name.startswith("builtin:"):
            return cached(name)
        return folder if (folder := Path(name).expanduser()).is_dir() else None

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

    def _look_ahead(self, step: PlannedStep, options: Options, inputs: dict[str, Input]) -> None:
        given = {"examples": inputs["examples"]} if isinstance(options, Training) else inputs
        pairs = [self._known.get(step_of(handle), Pairs()) for handle in record_sets(given)]
        known = pairs[0] if pairs else Pairs()
        step.entered = known.count
        folder = self.folder / step.name
        match options:
            case Seed():
                self.seed_rows = [hide(line) for line in first_rows(options)]
                known = of_seed(options, self.refusals)
                step.entered = known.count + known.held_out
            case Corpus() | Augment() | Select() if step.state == "done":
                step.entered, known = of_finished(self.folder / step.name)
            case Score() | Training() | HeldOut() if step.state == "done":
                step.entered = entered(self.folder / step.name)
            case Corpus() if not inputs:
                documents, known = of_corpus(options, folder, self.refusals)
                self.documents = {hide(place): count for place, count in documents.items()}
                step.entered = sum(self.documents.values())
            case Corpus():
                step.scratch = deduplication_bytes(known.count, options.duplicate_jaccard)
                known = replace(known, count=min(known.count, options.limit or known.count))
            case Augment():
                seed = self._known[names.SEED]
                step.tokens = counting.writing(self._ruler, options, known, seed)
                known = augmented(options, known, seed)
            case Judge():
                step.entered, known = of_judge(folder, options, known, self.refusals)
                if step.name == names.PROBES and 0 < step.entered < FEWEST:
                    self._note(
                        f"too few held-out pairs to check the judge ({step.entered}, at least {FEWEST}); going on"
                    )
            case Score():
                step.tokens = counting.judging(self._ruler, options, known, self._judge_calls)
            case Select():
                known = replace(known, count=self._choose(options, known.count))
            case Training():
                with self.refusals.noted():
                    if self.tokenizer is not None:
                        try_pairs(self.tokenizer, self._template, options, pairs)
                step.entered, step.tokens = counting.training(self._ruler, options, pairs)
                self._teach(step, options)
            case Gate():
                step.entered = len(losses) if isinstance(losses := inputs["losses"], Sequence) else 0
            case HeldOut():
                step.entered, step.tokens = counting.measuring(self._ruler, options, known)
        self._known[step.name] = known
        step.fill(options, known, self._parameters)

    def _teach(self, step: PlannedStep, options: Training) -> None:
        """Look at a training's options, and at the memory it needs."""
        batch, launch = schedule(options, step.entered)[0], self.file.resources.training
        step.memory = training_gigabytes(self._base_folder, self._parameters, options, launch, batch)
        check_training(options, batch, self.file, self._base_folder, self.refusals)
        seen = (options.steps or 0) * batch
        if 0 < 2 * seen < step.entered:
            self._note(
                f"{step.name}: {options.steps} steps of {batch} go over {seen:,} of {step.entered:,} examples; leave steps "
                "out for the paper's number"
            )

    def _choose(self, options: Select, count: int) -> int:
        """Return about how many candidates a round chooses."""
        recipe = self.file.recipe
        weights = options.weights or dict.fromkeys(recipe.score.scorers, 1.0)
        counting = [name for name in recipe.score.scorers if weights.get(name)]
        known = (
            known_scores(self.folder, self._source, recipe.score, options) if least_score(options) is not None else None
        )
        found, said = chosen(options, count, counting, known, self._parameters)
        self._note(said)
        return found

    def _note(self, said: str) -> None:
        if said and said not in self.notes:
            self.notes.append(said)

    @cached_property
    def _parameters(self) -> int:
        return parameters(self._base_folder, self.file.recipe.base)


__all__ = ["Plan", "PlannedStep"]
