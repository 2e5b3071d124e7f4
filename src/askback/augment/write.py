"""Self-augmentation: the backward model writes the instruction that each segment would answer (method.md 1.7)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Literal, NamedTuple

from askback import prompts
from askback.augment.hygiene import fault
from askback.engines.protocol import Engine, Sampling
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.prompts.prompt import Prompt
from askback.recipe import Augment, Resources
from askback.records import Candidate, Example, Segment, Split, draw, exchange, fail, record_id, reject
from askback.text.words import normal

PIECE = 64
"""Segments in a piece of work of a small corpus: 30 to 60 s of a small model on a laptop, which a kill may lose."""
STAGE = "instructions"

INSTRUCTION_TOKENS = 30.0
"""Of an instruction, where there is no seed to be like."""


class Asked(NamedTuple):
    """What is asked about a segment: the prompt, the style that it wants, and the instructions that it shows."""

    prompt: Prompt
    style: str = ""
    shown: tuple[str, ...] = ()


Ask = Callable[[Augment, Engine, Segment, int], Asked]
"""``ask(options, engine, segment, number)``: what is asked to get instruction `number` of a segment."""


def ask_backward(options: Augment, engine: Engine, segment: Segment, number: int) -> Asked:
    """Ask as M_yx was taught."""
    return Asked(prompts.backward(engine.truncate(segment.text, options.max_document_tokens)))


@dataclass(frozen=True)
class Writing:
    """What is written: how it is asked for, for the segments of which side, without those that natural pairs are of."""

    options: Augment
    ask: Ask = ask_backward
    split: Split = "train"
    natural: Iterable[Example] = ()


def forecast(options: Augment, context: ForecastContext) -> Forecast:
    """Count on instructions like those of the seed, in whose likeness they are written."""
    return written(options, context, context.pairs("segments").count - _natural(context, "count"))


def forecast_of_unseen(options: Augment, context: ForecastContext) -> Forecast:
    """The same for documents that are set aside."""
    return written(options, context, context.pairs("segments").held_out - _natural(context, "held_out"))


def _natural(context: ForecastContext, side: Literal["count", "held_out"]) -> int:
    """Return the number of segments of one side that nothing is written for, as a person did."""
    return sum(getattr(pairs, side) for pairs in context.inputs.get("natural", ()))


def written(
    options: Augment,
    context: ForecastContext,
    segments_count: int,
    prompt: Callable[[str], Prompt] = prompts.backward,
) -> Forecast:
    """Return the forecast of writing instructions for `segments_count` segments, each asked for by `prompt` of its text."""
    segments, ruler = context.pairs("segments"), context.base.ruler

    def read(text: str) -> float:
        return ruler.prompt(prompt(text)) - max(0.0, ruler.text(text) - options.max_document_tokens)

    asked = [instruction for instruction, _ in context.seed.sample]
    each = min(mean(map(ruler.text, asked)) or INSTRUCTION_TOKENS, options.max_new_tokens)
    count = segments_count * options.per_segment
    tokens = Tokens(round(count * mean(read(text) for _, text in segments.sample)), round(count * each))
    sample = tuple(zip(cycle(asked or [""]), (text for _, text in segments.sample)))
    return Forecast(Pairs(count, sample, origin="augmented"), segments_count, tokens)


@recorded(version=7, engine="augment", prompts=("backward",), forecast=forecast)
def write_instructions(
    step: Step,
    options: Augment,
    *,
    model: Model,
    segments: Records[Segment],
    natural: Records[Example] | None = None,
) -> Records[Candidate]:
    """Write `per_segment` instructions for every segment that is not held out; each becomes a candidate or a rejection.

    Args:
        natural: natural pairs, for whose segments none is written: their instruction is a person's.
    """
    return _written(step, Writing(options, natural=natural or ()), model, segments)


@recorded(version=2, engine="augment", prompts=("backward",), forecast=forecast_of_unseen, may_be_empty=True)
def write_unseen(
    step: Step,
    options: Augment,
    *,
    model: Model,
    segments: Records[Segment],
    natural: Records[Example] | None = None,
) -> Records[Candidate]:
    """The same for the segments that are held out, which are never judged and never trained on."""
    return _written(step, Writing(options, split="held-out", natural=natural or ()), model, segments)


def _written(step: Step, writing: Writing, model: Model, segments: Records[Segment]) -> Records[Candidate]:
    work = partial(write_piece, writing, step.resources, model, step.random_seed)
    return step.map(work, step.cut(segments, PIECE), Candidate, "segments")


def write_piece(
    writing: Writing,
    resources: Resources,
    model: Model,
    random_seed: int,
    worker: WorkerContext,
    piece: Iterable[Segment],
) -> Outcome[Candidate]:
    """In a worker: write instructions for some segments; each is sampled by its segment's id and the seed alone."""
    everything, outcome, options = list(piece), Outcome[Candidate](), writing.options
    segments = _wanting(writing, everything, outcome)
    if not segments:
        worker.report(len(everything))
        return outcome
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    wanted = [(segment, number) for segment in segments for number in range(options.per_segment)]
    asked = [writing.ask(options, engine, segment, number) for segment, number in wanted]
    seeds = [draw(random_seed, segment.id, number) for segment, number in wanted]
    sampling = Sampling(options.temperature, options.top_p, options.max_new_tokens)
    completions = engine.generate([one.prompt for one in asked], sampling, seeds)
    prompt_id = prompts.prompt_id(options.prompt)
    seen: set[str] = set()
    for (segment, number), one, seed, completion in zip(wanted, asked, seeds, completions, strict=True):
        if completion.error:
            id = record_id(segment.id, str(number), "no answer")
            outcome.drop(fail(id, STAGE, "no-answer", completion.error, uri=segment.provenance.uri))
            continue
        instruction = completion.text.strip()
        id = record_id(segment.id, instruction)
        found = _repeats(instruction, one) or fault(completion, segment, _of_style(options, one.style))
        if not found and id in seen:
            found = "repeated", "this segment has an instruction like it already"
        seen.add(id)
        if found:
            rule, detail = found
            outcome.drop(reject(id, STAGE, rule, detail, uri=segment.provenance.uri, text=instruction))
            continue
        messages = exchange(instruction, segment.text, segment.id)
        about = (id, messages, segment.provenance, segment.header_path)
        outcome.keep(STAGE, Candidate(*about, prompt_id, model.id, seed, one.style))
    worker.report(len(everything))
    return outcome


def _wanting(writing: Writing, segments: Iterable[Segment], outcome: Outcome[Candidate]) -> list[Segment]:
    """Return the segments of one side that no person has asked for; drop those that one has."""
    asked = {pair.messages[-1].segment_id: pair.instruction for pair in writing.natural if pair.split == writing.split}
    wanting = []
    for segment in segments:
        if segment.split == writing.split and segment.id in asked:
            id, detail = record_id(segment.id, "natural"), f"its header asks: {asked[segment.id]!r}"
            outcome.drop(reject(id, STAGE, "natural-pair", detail, uri=segment.provenance.uri, text=segment.text))
        elif segment.split == writing.split:
            wanting.append(segment)
    return wanting


def _repeats(instruction: str, asked: Asked) -> tuple[str, str] | None:
    """Return (rule, detail) of an instruction that is that of an example in its prompt."""
    if instruction and normal(instruction) in map(normal, asked.shown):
        return "copied-example", "an example in the prompt has this instruction"
    return None


def _of_style(options: Augment, style: str) -> Augment:
    """Return the options for a style: a search query asks with neither a verb nor a question mark."""
    if style != "search-query":
        return options
    return options.model_copy(update={"skip_rules": [*options.skip_rules, "no-request"]})
