"""Held-out loss: how well a model predicts people's answers. The cheapest evidence that training helped."""

import math
from collections.abc import Sequence
from functools import partial

from askback import prompts
from askback.engines.protocol import Likelihood
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.prompts.prompt import ask
from askback.recipe import HeldOut, Resources
from askback.records import Example, Loss, fail, record_id, reject

PIECE = 16

TAGGED = ("augmented", "inference")
"""Tags with which a loss can be measured, beside that of the pair's own origin (`HeldOut.tags`)."""


def forecast(options: HeldOut, context: ForecastContext) -> Forecast:
    """Count a reading under each tag; pairs that are too long are left out."""
    seed, ruler = context.pairs("examples"), context.base.ruler
    whole = [pair for pair in seed.sample if ruler.text("\n".join(pair)) <= options.max_tokens]
    tags = ["seed", *options.tags]
    read = mean(
        sum(ruler.prompt(prompts.forward(ask(asked).turns, tag)) + ruler.answer(output) for tag in tags)
        for asked, output in whole
    )
    count = min(seed.held_out, options.limit or seed.held_out)
    return Forecast(Pairs(count), count, Tokens(round(count * len(whole) / max(1, len(seed.sample)) * read)))


@recorded(version=3, engine="loss", prompts=("forward",), forecast=forecast)
def measure_loss(step: Step, options: HeldOut, *, model: Model, examples: Records[Example]) -> Records[Loss]:
    """Measure the loss per output token, stop token included, on the held-out examples; in float32 unless a dtype is given.

    The prompt has the tag of the example's origin in training (S_a for seed pairs), so that every model has seen such
    prompts; `tags` names others to measure with as well. A pair longer than `max_tokens` is left out: if cut, it would be
    measured as if it ended there. In `step.json`, metrics: `loss` in nats per token, `loss_TAG` with each of `tags`,
    `tokens` and `examples`.
    """
    return _measure(step, options, model, examples)


@recorded(version=1, engine="loss", prompts=("forward",), forecast=forecast, may_be_empty=True)
def measure_unseen(step: Step, options: HeldOut, *, model: Model, examples: Records[Example]) -> Records[Loss]:
    """The same on pairs of documents that are set aside, of which a small corpus may have none; their own tag is S_w."""
    return _measure(step, options, model, examples)


def _measure(step: Step, options: HeldOut, model: Model, examples: Records[Example]) -> Records[Loss]:
    held_out = sorted((example for example in examples if example.split == "held-out"), key=lambda example: example.id)
    measured = held_out[: options.limit]
    pieces = [measured[start : start + PIECE] for start in range(0, len(measured), PIECE)]
    work = partial(measure_piece, options, step.resources, model)
    losses = step.map(work, pieces, Loss, "pairs")
    step.metrics = summary(list(losses), options.tags)
    return losses


def summary(losses: Sequence[Loss], tags: Sequence[str]) -> dict[str, float | int | None]:
    """Return the losses in nats per token, and the numbers of tokens and pairs."""
    tokens = sum(loss.tokens for loss in losses)
    sums = {"loss": sum(loss.nats for loss in losses)}
    sums |= {f"loss_{tag}": sum(getattr(loss, f"nats_{tag}") for loss in losses) for tag in tags}
    per_token = {name: nats / tokens if tokens else None for name, nats in sums.items()}
    return {**per_token, "tokens": tokens, "examples": len(losses)}


def measure_piece(
    options: HeldOut, resources: Resources, model: Model, worker: WorkerContext, examples: list[Example]
) -> Outcome[Loss]:
    """In a worker: measure the loss on some examples."""
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    outcome = Outcome[Loss]()
    whole = []
    for example in examples:
        text = f"{example.instruction}\n{example.output}"
        if engine.truncate(text, options.max_tokens) == text:
            whole.append(example)
        else:
            detail = f"more than {options.max_tokens} tokens"
            outcome.drop(reject(example.id, "pairs", "over-max-tokens", detail, uri=example.provenance.uri, text=text))
    outputs = [example.output for example in whole]

    def measured(*tags: str) -> list[Likelihood]:
        asked = [prompts.forward(one.messages[:-1], tag) for one, tag in zip(whole, tags, strict=True)]
        return engine.loglikelihood(asked, outputs)

    likelihoods = measured(*(example.origin for example in whole))
    others = {tag: measured(*[tag] * len(whole)) for tag in options.tags}
    for number, (example, own) in enumerate(zip(whole, likelihoods, strict=True)):
        under = {f"nats_{tag}": -found[number].logprob for tag, found in others.items()}
        if not all(map(math.isfinite, (own.logprob, *under.values()))):
            errors = [one.error for one in (own, *(found[number] for found in others.values())) if one.error]
            detail = errors[0] if errors else "the model's numbers overflow"
            outcome.drop(fail(example.id, "pairs", "no-answer", detail, uri=example.provenance.uri))
            continue
        id = record_id(example.id, model.id)
        outcome.keep("pairs", Loss(id, example.id, model.id, -own.logprob, own.tokens, **under))
    worker.report(len(examples))
    return outcome
