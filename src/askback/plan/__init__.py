"""Looking ahead: which steps a recipe has, which are done, and what the others will take. Runs nothing, loads no model.

`Plan` walks the page (backtranslation.py) in place of a `Run`, so that the plan cannot drift from what is run.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from askback.backtranslation import backtranslate
from askback.config import Augment, Corpus, Gate, HeldOut, Judge, Options, RecipeFile, Score, Seed, Select, Training
from askback.corpus.dedup import deduplication_bytes
from askback.curate.choose import ROUNDING
from askback.curate.scorers.trial import check_calls
from askback.engines import ENGINES, Offer
from askback.engines.usage import Tokens
from askback.errors import Drift, MissingExtra
from askback.execution.budget import cost
from askback.execution.identity import (
    Input,
    Model,
    ancestors,
    asked,
    base_model,
    check_drift,
    handle,
    identify,
)
from askback.execution.processes import Drain
from askback.execution.shards import Records
from askback.lookup import lookup
from askback.models import check_model, is_remote, resolve, template_file
from askback.plan import tokens as counting
from askback.plan.rates import parameters, rates_for
from askback.plan.sample import Pairs, entered, of_corpus, of_finished, of_judge, of_seed
from askback.plan.template import try_pairs
from askback.variables import hide

T = TypeVar("T", bound=Records | Model)

PACKED = 0.5
"""Bytes on disk for a character of text, in compressed Parquet."""
ROW_BYTES = 250
"""Of a record beside its text: ids, where it is from."""
WEIGHT_BYTES, CHECKPOINT_BYTES = 4 + 2, 12
"""For each parameter: float32 and the bfloat16 form; in a checkpoint, float32 and the optimiser's two moments."""


@dataclass
class PlannedStep:
    """One step of the plan. `state` is done, begun, to do, or changed (its folder was made with something else)."""

    name: str
    state: str
    inputs: frozenset[str]
    entered: int = 0
    role: str = ""
    """Whose rates it goes at: "augment", "score", "loss" or "train"; "" for what asks no model."""
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float = 0.0
    usd: float = 0.0
    disk: int = 0
    """Bytes of its output."""
    scratch: int = 0
    """Bytes that it needs beside its output while it runs."""
    drift: str = ""


class Plan:
    """The steps of a recipe, in order."""

    def __init__(self, file: RecipeFile, forecast: bool = True, source: Path | None = None) -> None:
        """Walk the page. With `forecast`, sample the inputs for counts and lengths; without, only names and states.

        Args:
            source: a run folder whose finished steps tell how fast things go, where nothing nearer does.
        """
        self.file = file
        self.folder = Path(file.resources.runs) / file.name
        self.steps: list[PlannedStep] = []
        self.documents: dict[str, int] = {}
        self.notes: list[str] = []
        """What the recipe asks for and the engine cannot give, where there is a way round it."""
        self._forecast = forecast
        self._known: dict[str, Pairs] = {}
        self._source = source
        backtranslate(file.recipe, self)
        if forecast:
            self._reckon()

    def base(self) -> Model:
        """Return the base model's handle, checked as far as that goes without fetching it."""
        recipe = self.file.recipe
        if recipe.base and Path(recipe.base).expanduser().is_dir():
            check_model(Path(recipe.base).expanduser(), recipe.chat_template)
        elif not is_remote(recipe.base):
            resolve(recipe.base)  # says what is wrong with the name
        return base_model(self.file.recipe.base, self.file.recipe.chat_template, Path(self.file.recipe.base))

    def step(self, name: str, function: Callable[..., T], options: Options, **inputs: Input) -> T:
        """Look at one step.

        Raises:
            RecipeError: its engine cannot do what the options ask for.
        """
        folder = self.folder / name
        inputs = asked(function, inputs, self.file.resources)
        identity = identify(name, function, options, inputs, self.file)
        through = ancestors(inputs)
        output: T = handle(folder, name, function, identity, through)
        role = "train" if isinstance(options, Training) else function.recorded.engine  # type: ignore[attr-defined]
        step = PlannedStep(name, "to do", through, role=role)
        _look_at_disk(step, folder, identity)
        self.steps.append(step)
        if isinstance(options, Score):
            self._check_engine(options)
        if self._forecast:
            self._look_ahead(step, options, inputs)
        return output

    def _check_engine(self, options: Score) -> None:
        kind = self.file.resources.engine_for("score").kind
        self.notes += [note for note in check_calls(options, kind, self._judge_calls) if note not in self.notes]

    @cached_property
    def _judge_calls(self) -> frozenset[str]:
        found: frozenset[str] = lookup(ENGINES, self.file.resources.engine_for("score").kind, "engine").calls
        return found

    def check_offer(self, offer: Offer) -> list[str]:
        """Return what the scorers have to do without on a server that has told what it offers.

        Raises:
            RecipeError: one of them cannot do without.
        """
        if offer.role != "score":
            return []
        return check_calls(self.file.recipe.score, self.file.resources.engine_for("score").kind, offer.calls)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "run": str(self.folder),
            "documents": self.documents,
            "notes": self.notes,
            "rates": str(self.rates),
            "tokenizer": self.tokenizer is not None,
            "device_hours": self.device_hours,
            "steps": [_plain(step) for step in self.steps],
        }

    @property
    def device_hours(self) -> float:
        """Hours in which a model is at work, on one device."""
        return sum(step.seconds for step in self.steps if any(step.tokens)) / 3600

    @property
    def rates_from(self) -> str:
        """Where the rates are from, in words."""
        return str(self.rates)

    def measure(self) -> None:
        """Have the base model work for a minute to see how fast it is, and reckon with that (plan/measure.py).

        Raises:
            InputError: the base model cannot be had.
            Interrupted: Ctrl-C.
        """
        from askback.plan.measure import measure

        with Drain(lambda _: None) as drain:
            pairs, candidates = (list(self._known[step].sample) for step in ("seed", "augment"))
            measure(self.file.recipe, self.file.resources, pairs, candidates, self.folder, drain)
        self._reckon()

    def _reckon(self) -> None:
        """Work out time and money from tokens and rates."""
        resources = self.file.resources
        self.rates = rates_for(self.folder, resources, self._source)
        for step in self.steps:
            if step.state != "done":
                step.seconds = self.rates.seconds(step.role, step.tokens)
                step.usd = cost(step.tokens, step.seconds, resources.engine_for(step.role), resources)

    @cached_property
    def _ruler(self) -> counting.Ruler:
        return counting.Ruler(self.tokenizer)

    @cached_property
    def tokenizer(self) -> Any:
        """The base model's tokenizer, None if that, or the library, is not here."""
        from askback.engines.checkpoint import load_tokenizer

        folder = self._base_folder
        try:
            return load_tokenizer(folder, self.file.recipe.chat_template) if folder else None
        except MissingExtra:
            return None

    @property
    def _template(self) -> str:
        assert self._base_folder is not None
        return template_file(self._base_folder, self.file.recipe.chat_template)

    @cached_property
    def _base_folder(self) -> Path | None:
        from askback.builtin import cached

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
        pairs = [self._known.get(_name(handle), Pairs()) for handle in _handles(inputs)]
        known = pairs[0] if pairs else Pairs()
        step.entered = known.count
        match options:
            case Seed():
                known = of_seed(options)
                step.entered = known.count + known.held_out
            case Corpus() | Augment() | Select() if step.state == "done":
                step.entered, known = of_finished(self.folder / step.name)
            case Score() | Training() | HeldOut() if step.state == "done":
                step.entered = entered(self.folder / step.name)
            case Corpus() if not inputs:
                documents, known = of_corpus(options)
                self.documents = {hide(place): count for place, count in documents.items()}
                step.entered = sum(self.documents.values())
            case Corpus():
                step.scratch = deduplication_bytes(known.count, options.duplicate_jaccard)
                known = replace(known, count=min(known.count, options.limit or known.count))
            case Augment():
                seed = self._known["seed"]
                step.tokens = counting.writing(self._ruler, options, known, seed)
                known = _augmented(options, known, seed)
            case Judge():
                step.entered, known = of_judge(step.name, options, known)
            case Score():
                step.tokens = counting.judging(self._ruler, options, known, self._judge_calls)
            case Select():
                known = replace(known, count=_chosen(options, known.count))
            case Training():
                if self.tokenizer is not None:
                    try_pairs(self.tokenizer, self._template, options, pairs)
                step.entered, step.tokens = counting.training(self._ruler, options, pairs)
            case Gate():
                step.entered = len(losses) if isinstance(losses := inputs["losses"], Sequence) else 0
            case HeldOut():
                step.entered, step.tokens = counting.measuring(self._ruler, options, known)
        self._known[step.name] = known
        self._fill(step, options, known)

    def _fill(self, step: PlannedStep, options: Options, known: Pairs) -> None:
        """Say how much disk a step takes."""
        if isinstance(options, Training):
            step.disk = WEIGHT_BYTES * self._parameters
            # A new checkpoint is whole before the one before it goes.
            step.scratch = 0 if options.lora else 2 * CHECKPOINT_BYTES * self._parameters
        elif isinstance(options, Score):
            step.disk = ROW_BYTES * known.count * len(options.scorers)
        elif not isinstance(options, Gate | HeldOut):
            step.disk = round(known.count * (ROW_BYTES + PACKED * known.chars))

    @cached_property
    def _parameters(self) -> int:
        return parameters(self._base_folder) if self._base_folder else 0


def _augmented(options: Augment, segments: Pairs, seed: Pairs) -> Pairs:
    """Return candidates: texts of the corpus, each with the instruction of a seed pair in place of its own."""
    asked = [instruction for instruction, _ in seed.sample] or [""]
    sample = tuple((asked[at % len(asked)], text) for at, (_, text) in enumerate(segments.sample))
    return Pairs(segments.count * options.per_segment, sample, origin="augmented")


def _chosen(options: Select, count: int) -> int:
    """Return about how many of `count` candidates one round chooses; a tenth, where that depends on their scores."""
    assert not isinstance(options.top_n, list) and not isinstance(options.top_fraction, list)
    if options.bins:
        return count
    share = options.top_fraction if options.top_fraction is not None else 0.1
    return min(options.top_n if options.top_n is not None else math.ceil(count * share - ROUNDING), count)


def _look_at_disk(step: PlannedStep, folder: Path, identity: dict[str, Any]) -> None:
    try:
        check_drift(folder, step.name, identity)
    except Drift as drift:
        step.state, step.drift = "changed", str(drift)
        return
    if (folder / "step.json").exists():
        step.state = "done"
    elif (folder / "plan.json").exists():
        step.state = "begun"


def _plain(step: PlannedStep) -> dict[str, Any]:
    fields = ("name", "state", "entered", "seconds", "usd", "disk", "scratch")
    tokens = {kind: count for kind, count in step.tokens._asdict().items() if count}
    return {name: getattr(step, name) for name in fields} | {"tokens": tokens}


def _name(handle: Records | Model) -> str:
    return (handle.folder if isinstance(handle, Records) else handle.path.parent).name


def _handles(inputs: dict[str, Input]) -> Iterator[Records]:
    """Yield the record sets among a step's inputs; lists first come first."""
    for value in inputs.values():
        if isinstance(value, Records):
            yield value
        elif not isinstance(value, Model):
            yield from (one for one in value if isinstance(one, Records))
