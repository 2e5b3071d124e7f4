"""Pairs of documents that nothing was trained on: how a model does on text like the user's own (ours).

Held-out seed pairs tell how a model does on the seed's kind of text; what the chosen pairs add is found where they are
from. The backward model writes an instruction for each segment that is set aside, and which of these pairs count is decided
once, by the base model: never by an M_t, as a judge's own choice would favour that judge.
"""

import math
from collections.abc import Iterable
from functools import partial

from askback import prompts
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.prompts.prompt import ask
from askback.recipe import HeldOut, Resources
from askback.records import Candidate, Example, Message, fail, reject

PIECE = 16
STAGE = "pairs"
SHARE = 0.5
"""Share of the pairs that count: those whose instruction helps the base model most to predict the text."""


def forecast(options: HeldOut, context: ForecastContext) -> Forecast:
    """Count two readings of each pair by the base model."""
    pairs, ruler = context.pairs("candidates"), context.base.ruler
    read = mean(
        ruler.prompt(prompts.forward(ask(asked).turns, "augmented"))
        + ruler.prompt(prompts.forward(ask("").turns, "augmented"))
        + 2 * ruler.answer(output)
        for asked, output in pairs.sample
    )
    made = Pairs(0, pairs.sample, pairs.count, "augmented", pairs.sample)
    return Forecast(made, pairs.count, Tokens(round(pairs.count * read)))


def forecast_of_choice(options: HeldOut, context: ForecastContext) -> Forecast:
    """Count half of the pairs."""
    pairs = context.pairs("rated")
    kept = math.ceil(SHARE * pairs.held_out)
    return Forecast(Pairs(0, pairs.sample, kept, "augmented", pairs.tried), pairs.held_out)


@recorded(version=1, engine="loss", prompts=("forward",), forecast=forecast, may_be_empty=True)
def rate_unseen(step: Step, options: HeldOut, *, model: Model, candidates: Records[Candidate]) -> Records[Example]:
    """Measure how much each pair's instruction helps the base model to predict the text.

    The measure, the examples' `score`, is that of the scorer `ifd` (method.md 4, after Cherry LLM): the loss without the
    instruction minus that with it, in nats per token. Pairs of more than `options.max_tokens` are left out.
    """
    work = partial(rate_piece, options, step.resources, model)
    return step.map(work, step.cut(candidates, PIECE), Example, STAGE)


def rate_piece(
    options: HeldOut, resources: Resources, model: Model, worker: WorkerContext, piece: Iterable[Candidate]
) -> Outcome[Example]:
    """In a worker: measure some pairs."""
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    outcome, pairs = Outcome[Example](), list(piece)
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
        outcome.keep(STAGE, Example(pair.id, pair.messages, pair.provenance, "augmented", "held-out", gain))
    worker.report(len(pairs))
    return outcome


@recorded(version=1, forecast=forecast_of_choice, may_be_empty=True)
def choose_unseen(step: Step, options: HeldOut, *, rated: Records[Example]) -> Records[Example]:
    """Keep the half of the pairs whose instruction helps the base model most; the others are rejected, to be looked at."""
    ordered = sorted(rated, key=lambda pair: (-(pair.score or 0.0), pair.id))
    outcome = Outcome[Example]()
    for number, pair in enumerate(ordered):
        if number < math.ceil(SHARE * len(ordered)):
            outcome.keep(STAGE, pair)
        else:
            detail = f"helps the base model by {pair.score:.4f} nats per token, less than half of the pairs do"
            outcome.drop(reject(pair.id, STAGE, "helps-less", detail, uri=pair.provenance.uri, text=pair.instruction))
    return step.write(Example, [outcome])
