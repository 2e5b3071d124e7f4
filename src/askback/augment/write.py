"""Self-augmentation: the backward model writes the instruction that each segment would answer (method.md 1.7)."""

from collections.abc import Iterable
from functools import partial
from itertools import cycle

from askback import prompts
from askback.augment.hygiene import fault
from askback.engines.protocol import Sampling
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Augment, Resources
from askback.records import Candidate, Segment, Split, draw, exchange, fail, record_id, reject

PIECE = 32
"""Segments in a piece of work of a small corpus: half a minute of a small model on a laptop, which a kill may lose."""
STAGE = "instructions"

INSTRUCTION_TOKENS = 30.0
"""Of an instruction, where there is no seed to be like."""


def forecast(options: Augment, context: ForecastContext) -> Forecast:
    """Count on instructions like those of the seed, in whose likeness they are written."""
    return _written(options, context, context.pairs("segments").count)


def forecast_of_unseen(options: Augment, context: ForecastContext) -> Forecast:
    """The same for documents that are set aside."""
    return _written(options, context, context.pairs("segments").held_out)


def _written(options: Augment, context: ForecastContext, segments_count: int) -> Forecast:
    segments, ruler = context.pairs("segments"), context.base.ruler

    def read(text: str) -> float:
        return ruler.prompt(prompts.backward(text)) - max(0.0, ruler.text(text) - options.max_document_tokens)

    asked = [instruction for instruction, _ in context.seed.sample]
    written = min(mean(map(ruler.text, asked)) or INSTRUCTION_TOKENS, options.max_new_tokens)
    count = segments_count * options.per_segment
    tokens = Tokens(round(count * mean(read(text) for _, text in segments.sample)), round(count * written))
    sample = tuple(zip(cycle(asked or [""]), (text for _, text in segments.sample)))
    return Forecast(Pairs(count, sample, origin="augmented"), segments_count, tokens)


@recorded(version=6, engine="augment", prompts=("backward",), forecast=forecast)
def write_instructions(step: Step, options: Augment, *, model: Model, segments: Records[Segment]) -> Records[Candidate]:
    """Write `per_segment` instructions for every segment that is not held out; each becomes a candidate or a rejection."""
    work = partial(write_piece, options, step.resources, model, step.random_seed, "train")
    return step.map(work, step.cut(segments, PIECE), Candidate, "segments")


@recorded(version=1, engine="augment", prompts=("backward",), forecast=forecast_of_unseen, may_be_empty=True)
def write_unseen(step: Step, options: Augment, *, model: Model, segments: Records[Segment]) -> Records[Candidate]:
    """The same for the segments that are held out, which are never judged and never trained on."""
    work = partial(write_piece, options, step.resources, model, step.random_seed, "held-out")
    return step.map(work, step.cut(segments, PIECE), Candidate, "segments")


def write_piece(
    options: Augment,
    resources: Resources,
    model: Model,
    random_seed: int,
    split: Split,
    worker: WorkerContext,
    piece: Iterable[Segment],
) -> Outcome[Candidate]:
    """In a worker: write instructions for the segments of one side; each is sampled by its segment's id and the seed
    alone."""
    everything = list(piece)
    segments = [segment for segment in everything if segment.split == split]
    if not segments:
        worker.report(len(everything))
        return Outcome[Candidate]()
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    asked = [(segment, number) for segment in segments for number in range(options.per_segment)]
    shown = {segment.id: engine.truncate(segment.text, options.max_document_tokens) for segment in segments}
    seeds = [draw(random_seed, segment.id, number) for segment, number in asked]
    completions = engine.generate(
        [prompts.backward(shown[segment.id]) for segment, _ in asked],
        Sampling(options.temperature, options.top_p, options.max_new_tokens),
        seeds,
    )
    outcome, prompt_id = Outcome[Candidate](), prompts.prompt_id("backward")
    seen: set[str] = set()
    for (segment, number), seed, completion in zip(asked, seeds, completions, strict=True):
        if completion.error:
            id = record_id(segment.id, str(number), "no answer")
            outcome.drop(fail(id, STAGE, "no-answer", completion.error, uri=segment.provenance.uri))
            continue
        instruction = completion.text.strip()
        id = record_id(segment.id, instruction)
        found = fault(completion, segment, options)
        if not found and id in seen:
            found = "repeated", "this segment has an instruction like it already"
        seen.add(id)
        if found:
            rule, detail = found
            outcome.drop(reject(id, STAGE, rule, detail, uri=segment.provenance.uri, text=instruction))
        else:
            outcome.keep(STAGE, _candidate(id, segment, instruction, prompt_id, model, seed))
    worker.report(len(everything))
    return outcome


def _candidate(id: str, segment: Segment, instruction: str, prompt_id: str, model: Model, seed: int) -> Candidate:
    return Candidate(
        id=id,
        messages=exchange(instruction, segment.text, segment.id),
        provenance=segment.provenance,
        header_path=segment.header_path,
        prompt_id=prompt_id,
        model_id=model.id,
        random_seed=seed,
    )
