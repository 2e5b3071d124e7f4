"""Pairs of documents that nothing was trained on: how a model does on text like the user's own (ours).

Held-out seed pairs tell how a model does on the seed's kind of text; what the chosen pairs add is found where they are
from. Where the documents that are set aside hold enough natural pairs (corpus/natural.py), these count: a person wrote
their instructions. Else the backward model writes one for each other segment that is set aside, and which of these pairs
count is decided once, by the base model: never by an M_t, as a judge's own choice would favour that judge. The pairs that
do not count are measured beside.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
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
from askback.recipe import HeldOut, Natural, Resources
from askback.records import Candidate, Example, Message, Rejection, fail, reject

PIECE = 16
STAGE = "pairs"


def forecast(options: HeldOut, context: ForecastContext) -> Forecast:
    """Count two readings of each pair by the base model; natural ones are rather like the others."""
    pairs, ruler = context.pairs("candidates"), context.base.ruler
    natural = sum(pairs.held_out for pairs in context.inputs.get("natural", ()))
    count = pairs.count + natural
    read = mean(
        ruler.prompt(prompts.forward(ask(asked).turns, "augmented"))
        + ruler.prompt(prompts.forward(ask("").turns, "augmented"))
        + 2 * ruler.answer(output)
        for asked, output in pairs.sample
    )
    made = Pairs(0, pairs.sample, count, "augmented", pairs.sample, natural=natural / max(1, count))
    return Forecast(made, count, Tokens(round(count * read)))


def forecast_of_all(options: Natural, context: ForecastContext) -> Forecast:
    """Count the same pairs, and no reading."""
    return replace(forecast(HeldOut(), context), tokens=Tokens())


def forecast_of_choice(options: Natural, context: ForecastContext) -> Forecast:
    """Count the natural pairs, or a share of the others."""
    pairs = context.pairs("rated")
    natural = round(pairs.natural * pairs.held_out)
    kept = natural if natural >= options.least else math.ceil(options.asked_share * (pairs.held_out - natural))
    return Forecast(Pairs(0, pairs.sample, kept, "augmented", pairs.tried), pairs.held_out)


@recorded(version=2, engine="loss", prompts=("forward",), forecast=forecast, may_be_empty=True)
def rate_unseen(
    step: Step,
    options: HeldOut,
    *,
    model: Model,
    candidates: Records[Candidate],
    natural: Records[Example] | None = None,
) -> Records[Example]:
    """Measure how much each pair's instruction helps the base model to predict the text.

    The measure, the examples' `score`, is that of the scorer `ifd` (method.md 4, after Cherry LLM): the loss without the
    instruction minus that with it, in nats per token. Pairs of more than `options.max_tokens` are left out.

    Args:
        natural: natural pairs, of which those held out are measured too.
    """
    pieces: list[Piece[Candidate | Example]] = [*step.cut(candidates, PIECE)]
    pieces += step.cut(natural, PIECE) if natural else []
    return step.map(partial(rate_piece, options, step.resources, model), pieces, Example, STAGE)


def rate_piece(
    options: HeldOut, resources: Resources, model: Model, worker: WorkerContext, piece: Iterable[Candidate | Example]
) -> Outcome[Example]:
    """In a worker: measure some pairs."""
    outcome, everything = Outcome[Example](), list(piece)
    pairs = [pair for pair in everything if isinstance(pair, Candidate) or pair.split == "held-out"]
    if not pairs:
        worker.report(len(everything))
        return outcome
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    texts = [f"{pair.instruction}\n{pair.output}" for pair in pairs]
    whole = [pair for pair, text in zip(pairs, texts, strict=True) if engine.truncate(text, options.max_tokens) == text]
    outputs = [pair.output for pair in whole]
    given = [prompts.forward(pair.messages[:-1], "augmented") for pair in whole]
    alone = [prompts.forward([*pair.messages[:-2], Message("user", "")], "augmented") for pair in whole]
    both = zip(engine.loglikelihood(given, outputs), engine.loglikelihood(alone, outputs), strict=True)
    found = {pair.id: likelihoods for pair, likelihoods in zip(whole, both, strict=True)}
    for pair in pairs:
        if pair.id not in found:
            detail = f"more than {options.max_tokens} tokens"
            outcome.drop(reject(pair.id, STAGE, "over-max-tokens", detail, uri=pair.provenance.uri, text=pair.output))
            continue
        one, other = found[pair.id]
        if not one.tokens or not math.isfinite(one.logprob - other.logprob):
            detail = one.error or other.error or "the model's numbers overflow"
            outcome.drop(fail(pair.id, STAGE, "no-answer", detail, uri=pair.provenance.uri))
            continue
        gain = (one.logprob - other.logprob) / one.tokens
        outcome.keep(STAGE, _held_out(pair, gain))
    worker.report(len(everything))
    return outcome


@recorded(version=1, forecast=forecast_of_all, may_be_empty=True)
def take_unseen(
    step: Step, options: Natural, *, candidates: Records[Candidate], natural: Records[Example] | None = None
) -> Records[Example]:
    """In place of `rate_unseen` where all pairs count (`asked_share: 1`): no model reads them, and none has a score."""
    outcome = Outcome[Example]()
    for pair in [*candidates, *(pair for pair in natural or () if pair.split == "held-out")]:
        outcome.keep(STAGE, _held_out(pair))
    return step.write(Example, [outcome])


def _held_out(pair: Candidate | Example, gain: float | None = None) -> Example:
    origin = pair.origin if isinstance(pair, Example) else "augmented"
    return Example(pair.id, pair.messages, pair.provenance, origin, "held-out", gain)


@recorded(version=2, forecast=forecast_of_choice, may_be_empty=True)
def choose_unseen(step: Step, options: Natural, *, rated: Records[Example]) -> Records[Example]:
    """Keep the pairs that count: the natural ones, if they are `options.least` or more, or else the share of the
    others whose instruction helps the base model most. The rest are rejected, to be looked at, and measured beside."""
    ordered = sorted(rated, key=lambda pair: (-(pair.score or 0.0), pair.id))
    natural = [pair for pair in ordered if pair.origin == "natural"]
    asked = [pair for pair in ordered if pair.origin != "natural"]
    outcome, enough = Outcome[Example](), len(natural) >= options.least
    for pair in natural:
        if enough:
            outcome.keep(STAGE, pair)
        else:
            outcome.drop(_beside(pair, "few-natural", f"{len(natural)} natural pairs, at least {options.least} wanted"))
    for number, pair in enumerate(asked):
        if enough:
            outcome.drop(_beside(pair, "not-natural", f"{len(natural)} natural pairs count in its place"))
        elif number < math.ceil(options.asked_share * len(asked)):
            outcome.keep(STAGE, pair)
        else:
            detail = f"helps the base model by {pair.score:.4f} nats per token, less than others do"
            outcome.drop(_beside(pair, "helps-less", detail))
    return step.write(Example, [outcome])


def _beside(pair: Example, rule: str, detail: str) -> Rejection:
    return reject(pair.id, STAGE, rule, detail, uri=pair.provenance.uri, text=pair.instruction)
