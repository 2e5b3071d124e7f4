"""Instructions by a model that is not trained to write them: asked in words, with or without seed pairs as examples."""

from functools import partial
from itertools import cycle
from random import Random

from askback import prompts
from askback.augment.shots import choose_shots
from askback.augment.write import PIECE, Ask, Asked, Writing, write_piece, written
from askback.engines.protocol import Engine
from askback.execution.forecast import Forecast, ForecastContext
from askback.execution.identity import Model, recorded
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.prompts.prompt import Prompt
from askback.recipe import Asking, Augment
from askback.records import Candidate, Example, Segment, draw


def ask_writer(
    random_seed: int, seed: Records[Example] | None, options: Augment, engine: Engine, segment: Segment, number: int
) -> Asked:
    """Ask for an instruction in a style that is drawn for it, after examples that are chosen for the segment."""
    assert isinstance(options, Asking)
    style = drawn_style(options, segment.id, number, random_seed)
    shots = choose_shots(seed, segment, options.shots, random_seed) if seed is not None else []
    shown = [(shot.instruction, engine.truncate(shot.output, options.example_tokens)) for shot in shots]
    text = engine.truncate(segment.text, options.max_document_tokens)
    return Asked(prompts.writer(text, style, shown), style, tuple(shot.instruction for shot in shots))


def drawn_style(options: Asking, id: str, number: int, random_seed: int) -> str:
    """Return the style of instruction `number` of a segment, drawn by the shares of the recipe."""
    random = Random(draw(random_seed, "style", id, number))
    return random.choices(list(options.styles), list(options.styles.values()))[0]


def forecast(options: Asking, context: ForecastContext) -> Forecast:
    """Count on seed pairs of the usual length as examples, and on each style in turn."""
    ruler = context.base.ruler
    shots = [
        (instruction, ruler.truncate(output, options.example_tokens))
        for instruction, output in context.seed.sample[: options.shots]
    ]
    styles = cycle(name for name, share in options.styles.items() if share)

    def prompt(text: str) -> Prompt:
        return prompts.writer(text, next(styles), shots)

    count = context.pairs("segments").count
    stop = count if options.stop is None else min(options.stop, count)
    return written(options, context, max(0, stop - options.first), prompt)


@recorded(version=2, engine="augment", prompts=("writer",), forecast=forecast)
def write_prompted(
    step: Step, options: Asking, *, model: Model, segments: Records[Segment], seed: Records[Example] | None = None
) -> Records[Candidate]:
    """Have `per_segment` instructions written for the segments of a block; each becomes a candidate, with its style, or a
    rejection.

    That no instruction fits is an answer too: rule "no-instruction".

    Args:
        seed: pairs to choose examples from; not given, the prompt has none.
    """
    ask: Ask = partial(ask_writer, step.random_seed, seed)
    work = partial(write_piece, Writing(options, ask), step.resources, model, step.random_seed)
    return step.map(work, step.cut_drawn(segments, options.first, options.stop, PIECE), Candidate, "segments")


@recorded(version=2, engine="augment", prompts=("writer",), forecast=forecast, may_be_empty=True)
def write_more(
    step: Step, options: Asking, *, model: Model, segments: Records[Segment], seed: Records[Example] | None = None
) -> Records[Candidate]:
    """The same for a block after the first, of which nothing may be left."""
    return write_prompted(step, options, model=model, segments=segments, seed=seed)
