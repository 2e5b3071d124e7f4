"""Looking ahead: which steps a recipe has, which are done, and what the others will take. Runs nothing, loads no model.

`Plan` walks the page (backtranslation.py) in place of a `Run`, so that the plan cannot drift from what is run.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from askback.backtranslation import backtranslate
from askback.config import Augment, Corpus, Gate, HeldOut, Judge, Options, RecipeFile, Score, Seed, Select, Training
from askback.corpus.dedup import deduplication_bytes
from askback.curate.choose import ROUNDING
from askback.curate.scorers import check_calls
from askback.engines import ENGINES, Offer
from askback.errors import Drift
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
from askback.execution.shards import Records
from askback.lookup import lookup
from askback.models import check_model, is_remote, resolve
from askback.records import Document, Rejection, Segment
from askback.train.rows import schedule

T = TypeVar("T", bound=Records | Model)

CHARS_PER_TOKEN = 4.2
"""English prose under common tokenizers."""
RATES = {"prompt": 700.0, "output": 60.0, "train": 240.0}
"""Tokens per second assumed where this run has measured none: a 135M model on two CPU cores."""
RUBRIC_TOKENS = 90
"""Tokens of a scoring prompt beside the pair itself that are not shared with the other prompts."""
BACKWARD_TOKENS = 110
RUBRIC_CHARS = 1300
"""Of the whole rubric."""
INSTRUCTION_CHARS = 120.0
SAMPLE_DOCUMENTS = 200
SAMPLE_SECONDS = 3.0


@dataclass(frozen=True)
class Pairs:
    """How many records, and how long they are, as far as is known."""

    count: int = 0
    instruction_chars: float = INSTRUCTION_CHARS
    output_chars: float = 0.0
    held_out: int = 0


@dataclass
class PlannedStep:
    """One step of the plan. `state` is done, begun, to do, or changed (its folder was made with something else)."""

    name: str
    state: str
    inputs: frozenset[str]
    entered: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    disk: int = 0
    """Bytes that it needs beside its output while it runs."""
    drift: str = ""


class Plan:
    """The steps of a recipe, in order."""

    def __init__(self, file: RecipeFile, forecast: bool = True) -> None:
        """Walk the page. With `forecast`, sample the inputs for counts and lengths; without, only names and states."""
        self.file = file
        self.folder = Path(file.resources.runs) / file.name
        self.steps: list[PlannedStep] = []
        self.documents: dict[str, int] = {}
        self.notes: list[str] = []
        """What the recipe asks for and the engine cannot give, where there is a way round it."""
        self._forecast = forecast
        self._known: dict[str, Pairs] = {}
        self._rates, self.rates_from = _rates(self.folder)
        backtranslate(file.recipe, self)

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
        step = PlannedStep(name, "to do", through)
        _look_at_disk(step, folder, identity)
        self.steps.append(step)
        if isinstance(options, Score):
            self._check_engine(options)
        if self._forecast:
            self._look_ahead(step, options, inputs)
        return output

    def _check_engine(self, options: Score) -> None:
        kind = self.file.resources.engine_for("score").kind
        calls = lookup(ENGINES, kind, "engine").calls
        self.notes += [note for note in check_calls(options, kind, calls) if note not in self.notes]

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
            "steps": [_plain(step) for step in self.steps],
        }

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
        tokens: dict[str, float] = {}
        known = pairs[0] if pairs else Pairs()
        step.entered = known.count
        match options:
            case Seed():
                known = _seed(options)
                step.entered = known.count + known.held_out
            case Corpus() | Augment() | Select() if step.state == "done":
                step.entered, known = _made(self.folder / step.name)
            case Corpus() if not inputs:
                self.documents, known = _corpus(options)
                step.entered = sum(self.documents.values())
            case Corpus():
                step.disk = deduplication_bytes(known.count, options.duplicate_jaccard)
                known = replace(known, count=min(known.count, options.limit or known.count))
            case Augment():
                count = known.count * options.per_segment
                shown = min(_tokens(known.output_chars), options.max_document_tokens)
                tokens = {"prompt": count * (shown + BACKWARD_TOKENS), "output": count * _tokens(INSTRUCTION_CHARS)}
                known = replace(known, count=count, instruction_chars=INSTRUCTION_CHARS)
            case Judge():
                step.entered, known = _judge(step.name, options, known)
            case Score():
                tokens = _scoring(options, known)
            case Select():
                known = replace(known, count=_chosen(options, known.count))
            case Training():
                step.entered, tokens = _training(options, pairs)
            case Gate():
                step.entered = len(losses) if isinstance(losses := inputs["losses"], Sequence) else 0
            case HeldOut():
                step.entered = min(known.held_out, options.limit or known.held_out)
                tokens = {"prompt": step.entered * _tokens(known.output_chars + known.instruction_chars)}
        self._known[step.name] = known
        step.tokens = {kind: round(count) for kind, count in tokens.items() if count}
        step.seconds = sum(count / self._rates[kind] for kind, count in tokens.items())
        if step.state == "done":
            step.seconds = 0.0


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


def _made(folder: Path) -> tuple[int, Pairs]:
    """Return, of a finished step, how many records entered and what it kept; lengths from the first few hundred."""
    counts = next(iter(json.loads((folder / "step.json").read_text("utf-8"))["counts"].values()))
    records = Records(folder, "")
    sample = list(islice(records, SAMPLE_DOCUMENTS))
    outputs = [len(one.text if isinstance(one, Segment) else one.output) for one in sample]
    instructions = [0 if isinstance(one, Segment) else len(one.instruction) for one in sample]
    size = max(1, len(sample))
    return int(counts["entered"]), Pairs(len(records), sum(instructions) / size, sum(outputs) / size)


def _plain(step: PlannedStep) -> dict[str, Any]:
    fields = ("name", "state", "entered", "tokens", "seconds", "disk")
    return {name: getattr(step, name) for name in fields}


def _rates(folder: Path) -> tuple[dict[str, float], str]:
    """Return tokens per second by kind, as far as this run has measured them, and where they are from."""
    rates, measured = dict(RATES), False
    for step, kind in (("backward", "train"), ("m0", "train"), ("augment", "output")):
        record = folder / step / "step.json"
        if record.exists():
            step_record = json.loads(record.read_text("utf-8"))
            if step_record["tokens"]:
                rates[kind] = step_record["tokens"] / max(1e-3, step_record["seconds"])
                measured = True
    assumed = "rates assumed for a 135M model on two CPU cores (a larger model or another machine will differ)"
    return rates, "what this run has measured so far" if measured else assumed


def _name(handle: Records | Model) -> str:
    return (handle.folder if isinstance(handle, Records) else handle.path.parent).name


def _handles(inputs: dict[str, Input]) -> Iterator[Records]:
    """Yield the record sets among a step's inputs; lists first come first."""
    for value in inputs.values():
        if isinstance(value, Records):
            yield value
        elif not isinstance(value, Model):
            yield from (one for one in value if isinstance(one, Records))


def _judge(step: str, options: Judge, seed: Pairs) -> tuple[int, Pairs]:
    """Return how many seed pairs are taken to teach or to try a judge, and what is made of them."""
    from askback.curate.damage import KINDS

    if step == "probes":
        pairs = min(options.probes, seed.held_out)
        return pairs, replace(seed, count=pairs * (len(KINDS) + 2))
    if step == "ranked":
        return 0, Pairs()  # how many there are is not known before they are read
    pairs = min(options.pairs, seed.count)
    # Each is shown in the rubric, which is a good part of what there is to read.
    shown = seed.output_chars + RUBRIC_CHARS
    return pairs, replace(seed, count=pairs * (1 + options.per_pair), output_chars=shown)


def _tokens(chars: float) -> float:
    return chars / CHARS_PER_TOKEN


def _seed(options: Seed) -> Pairs:
    from askback.seed.load import gather

    kept = gather(options).kept
    if not kept:
        return Pairs()
    held_out = sum(example.split == "held-out" for example in kept)
    instruction, output = (
        sum(len(getattr(example, side)) for example in kept) / len(kept) for side in ("instruction", "output")
    )
    return Pairs(len(kept) - held_out, instruction, output, held_out)


def _corpus(options: Corpus) -> tuple[dict[str, int], Pairs]:
    """Count documents and estimate segments from a sample: the first documents of each source, for a few seconds."""
    from askback.corpus import cut
    from askback.corpus.readers import documents as read
    from askback.corpus.readers import pieces as pieces_of

    documents: dict[str, int] = {}
    segments, chars = 0.0, 0.0
    for source in options.sources:
        pieces = pieces_of(source)
        # A small sample would have the whole source read, so what is looked at is its beginning.
        most = source.limit and math.ceil(source.limit / source.sample)
        whole = source.model_copy(update={"sample": 1.0, "limit": most})
        deadline = time.monotonic() + SAMPLE_SECONDS
        count, sample, done = 0, list[Document | Rejection](), 0
        for paths, span in pieces:
            for found in read(whole, paths, options, span=span):
                count += 1
                if len(sample) < SAMPLE_DOCUMENTS:
                    sample.append(found)
                if count % 64 == 0 and time.monotonic() > deadline:
                    break
            else:
                done += 1
                continue
            break
        # What was not reached is taken to be like what was.
        count = round(count * len(pieces) / max(done, 1)) if done < len(pieces) else count
        count = round(count * source.sample)
        kept = cut(iter(sample), options).kept
        documents[f"{source.format} {source.path}".strip()] = count
        share = len(kept) / max(1, len(sample))
        segments += share * count
        chars += share * count * (sum(len(s.text) for s in kept) / max(1, len(kept)))
    return documents, Pairs(round(segments), output_chars=chars / max(1.0, segments))


def _scoring(options: Score, known: Pairs) -> dict[str, float]:
    """Return what the scorers read and write."""
    asked = _tokens(known.instruction_chars)
    output = min(_tokens(known.output_chars), options.max_output_tokens)
    read, written = 0.0, 0.0
    for scorer in options.scorers:
        if scorer == "ifd":
            read += asked + 2 * output
        if scorer in ("ifd", "whole"):
            continue
        prompt = asked + RUBRIC_TOKENS + (0 if scorer == "instruction" else output)
        if options.reasoning:
            # Written after one reading of the prompt; the digit is chosen after another.
            read += options.samples * (2 * prompt + options.reasoning_tokens)
            written += options.samples * options.reasoning_tokens
        else:
            read += prompt
    return {"prompt": known.count * read, "output": known.count * written}


def _training(options: Training, pairs: list[Pairs]) -> tuple[int, dict[str, float]]:
    """Return how many examples a training has and how many tokens it goes over."""
    count = sum(p.count for p in pairs)
    if not count:
        return 0, {}
    length = (
        sum(p.count * min(_tokens(p.output_chars + p.instruction_chars), options.max_tokens) for p in pairs) / count
    )
    batch, steps = schedule(options, count)
    return count, {"train": steps * batch * length}
