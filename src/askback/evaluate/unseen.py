"""Pairs of documents that nothing was trained on: how a model does on text like the user's own (ours).

Held-out seed pairs tell how a model does on the seed's kind of text; what the chosen pairs add is found where they are
from. The backward model writes an instruction for each segment that is set aside, and which of these pairs count is decided
once, by the base model: never by an M_t, as a judge's own choice would favour that judge.
"""

import math
from functools import partial

from askback import prompts
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Piece, Records
from askback.execution.step import Step
from askback.prompts.prompt import ask
from askback.recipe import HeldOut, Resources
from askback.records import Candidate, Example, Message, fail, reject

PIECE = 16
STAGE = "pairs"
SHARE = 0.5
"""Share of the pairs that count: those whose instruction helps the base model most to predict the text."""

Rated = tuple[Candidate, float | str]
"""A pair, and its loss without the instruction minus that with it, in nats per token, or the rule by which it has none."""


def forecast(options: HeldOut, context: ForecastContext) -> Forecast:
    """Count two readings of each pair by the base model."""
    pairs, ruler = context.pairs("candidates"), context.base.ruler
    read = mean(
        ruler.prompt(prompts.forward(ask(asked).turns, "augmented"))
        + ruler.prompt(prompts.forward(ask("").turns, "augmented"))
        + 2 * ruler.answer(output)
        for asked, output in pairs.sample
    )
    kept = math.ceil(SHARE * pairs.count)
    made = Pairs(0, pairs.sample, kept, "augmented", pairs.sample[:kept])
    return Forecast(made, pairs.count, Tokens(round(pairs.count * read)))


@recorded(version=1, engine="loss", prompts=("forward",), forecast=forecast, may_be_empty=True)
def choose_unseen(step: Step, options: HeldOut, *, model: Model, candidates: Records[Candidate]) -> Records[Example]:
    """Keep the half of the pairs whose instruction lowers the base model's loss of the text most, as held-out examples.

    The others, and pairs of more than `options.max_tokens`, are rejected, so that both can be looked at. The measure is
    that of the scorer `ifd` (method.md 4, after Cherry LLM).
    """
    work = partial(rate_piece, options, step.resources, model)
    pieces = step.alone(work, step.cut(candidates, PIECE), "pairs", len(candidates))
    outcome, gains = Outcome[Example](), dict[str, float]()
    by_id = {pair.id: pair for piece in pieces for pair, _ in piece}
    for pair, gain in sorted((rated for piece in pieces for rated in piece), key=lambda rated: rated[0].id):
        if isinstance(gain, float):
            gains[pair.id] = gain
            continue
        say = fail if gain == "no-answer" else reject
        detail = f"at most {options.max_tokens} tokens, and a log-probability, wanted"
        outcome.drop(say(pair.id, STAGE, gain, detail, uri=pair.provenance.uri, text=pair.instruction))
    for number, (id, gain) in enumerate(sorted(gains.items(), key=lambda found: (-found[1], found[0]))):
        pair = by_id[id]
        if number < math.ceil(SHARE * len(gains)):
            example = Example(id, pair.messages, pair.provenance, "augmented", "held-out", gain)
            outcome.keep(STAGE, example)
        else:
            detail = (
                f"the instruction lowers the base model's loss by {gain:.4f} nats per token, less than in half of them"
            )
            outcome.drop(reject(id, STAGE, "helps-less", detail, uri=pair.provenance.uri, text=pair.instruction))
    return step.write(Example, [outcome])


def rate_piece(
    options: HeldOut, resources: Resources, model: Model, worker: WorkerContext, piece: Piece[Candidate]
) -> list[Rated]:
    """In a worker: measure how much each pair's instruction helps."""
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    pairs = list(piece)
    texts = [f"{pair.instruction}\n{pair.output}" for pair in pairs]
    whole = [pair for pair, text in zip(pairs, texts, strict=True) if engine.truncate(text, options.max_tokens) == text]
    outputs = [pair.output for pair in whole]
    given = [prompts.forward(pair.messages[:-1], "augmented") for pair in whole]
    alone = [prompts.forward([*pair.messages[:-2], Message("user", "")], "augmented") for pair in whole]
    both = zip(engine.loglikelihood(given, outputs), engine.loglikelihood(alone, outputs), strict=True)
    found: dict[str, float | str] = dict.fromkeys((pair.id for pair in pairs), "over-max-tokens")
    for pair, (one, other) in zip(whole, both, strict=True):
        finite = one.tokens and math.isfinite(one.logprob - other.logprob)
        found[pair.id] = (one.logprob - other.logprob) / one.tokens if finite else "no-answer"
    worker.report(len(pairs))
    return [(pair, found[pair.id]) for pair in pairs]
