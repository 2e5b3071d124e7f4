"""Held-out loss: how well a model predicts people's answers. The cheapest evidence that training helped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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

TAGGED = ("seed", "augmented", "inference")
"""Tags with which a loss can be measured (`HeldOut.tags`): S_a, S_w and both."""


def forecast(options: HeldOut, context: ForecastContext) -> Forecast:
    """Count a reading under each tag; pairs that are too long are left out."""
    return _forecast(options, context, [context.pairs("examples")])


def forecast_of_beside(options: HeldOut, context: ForecastContext) -> Forecast:
    """The same, of all sets, without the pairs that count."""
    counting = sum(pairs.held_out for pairs in context.inputs.get("counting", ()))
    return _forecast(options, context, context.inputs["sets"], counting)


def _forecast(options: HeldOut, context: ForecastContext, sets: Sequence[Pairs], counting: int = 0) -> Forecast:
    ruler, sample = context.base.ruler, [pair for pairs in sets for pair in pairs.sample]
    whole = [pair for pair in sample if ruler.text("\n".join(pair)) <= options.max_tokens]
    tags = _tags(options, "seed")
    read = mean(
        sum(ruler.prompt(prompts.forward(ask(asked).turns, tag)) + ruler.answer(output) for tag in tags)
        for asked, output in whole
    )
    count = max(0, sum(min(pairs.held_out, options.limit or pairs.held_out) for pairs in sets) - counting)
    return Forecast(Pairs(count), count, Tokens(round(count * len(whole) / max(1, len(sample)) * read)))


def _tags(options: HeldOut, origin: str) -> list[str]:
    """Return the tags that a pair is read under: its origin's, and those asked for that are other words."""
    return [origin, *(tag for tag in options.tags if prompts.TAGS[tag] != prompts.TAGS[origin])]


@recorded(version=4, engine="loss", prompts=("forward",), forecast=forecast)
def measure_loss(step: Step, options: HeldOut, *, model: Model, examples: Records[Example]) -> Records[Loss]:
    """Measure the loss per output token, stop token included, on the held-out examples; in float32 unless a dtype is given.

    The prompt has the tag of the example's origin in training (S_a for seed pairs), so that every model has seen such
    prompts; `tags` names others to measure with as well. A pair longer than `max_tokens` is left out: if cut, it would be
    measured as if it ended there. In `step.json`, metrics: `loss` in nats per token, `loss_TAG` with each of `tags`,
    `tokens` and `examples`.
    """
    return _measure(step, options, model, examples)


@recorded(version=2, engine="loss", prompts=("forward",), forecast=forecast, may_be_empty=True)
def measure_unseen(step: Step, options: HeldOut, *, model: Model, examples: Records[Example]) -> Records[Loss]:
    """The same on pairs of documents that are set aside, of which a small corpus may have none; their own tag is S_w."""
    return _measure(step, options, model, examples)


@recorded(version=1, engine="loss", prompts=("forward",), forecast=forecast_of_beside, may_be_empty=True)
def measure_beside(
    step: Step,
    options: HeldOut,
    *,
    model: Model,
    sets: Sequence[Records[Example]],
    counting: Records[Example] | None = None,
) -> Records[Loss]:
    """The same on pairs that the gate does not look at: those of documents that do not count, and other people's.

    Each loss has its `set`: the step that a set of people's pairs is from, or else the pairs' origin. In `step.json`,
    metrics: `sets`, the metrics of each.

    Args:
        counting: pairs of the documents that count, which are measured already.
    """
    known = {pair.id for pair in counting or ()}
    named: dict[str, list[Example]] = {}
    for records in sets:
        for pair in records:
            if pair.split == "held-out" and pair.id not in known:
                named.setdefault(records.folder.name if pair.origin == "seed" else pair.origin, []).append(pair)
    pieces = [OfSet(name, piece) for name, pairs in named.items() for piece in _pieces(pairs, options.limit)]
    losses = step.map(partial(measure_set, options, step.resources, model), pieces, Loss, "pairs")
    found = list(losses)
    own = {name: [loss for loss in found if loss.set == name] for name in named}
    step.metrics = {"sets": {name: summary(losses, options.tags) for name, losses in own.items()}}
    return losses


def _measure(step: Step, options: HeldOut, model: Model, examples: Records[Example]) -> Records[Loss]:
    pieces = _pieces([example for example in examples if example.split == "held-out"], options.limit)
    losses = step.map(partial(measure_piece, options, step.resources, model), pieces, Loss, "pairs")
    step.metrics = summary(list(losses), options.tags)
    return losses


def _pieces(pairs: Sequence[Example], limit: int | None) -> list[list[Example]]:
    measured = sorted(pairs, key=lambda pair: pair.id)[:limit]
    return [measured[start : start + PIECE] for start in range(0, len(measured), PIECE)]


def summary(losses: Sequence[Loss], tags: Sequence[str]) -> dict[str, float | int | None]:
    """Return the losses in nats per token, and the numbers of tokens and pairs."""
    tokens = sum(loss.tokens for loss in losses)
    sums = {"loss": sum(loss.nats for loss in losses)}
    sums |= {f"loss_{tag}": sum(getattr(loss, f"nats_{tag}") for loss in losses) for tag in tags}
    per_token = {name: nats / tokens if tokens else None for name, nats in sums.items()}
    return {**per_token, "tokens": tokens, "examples": len(losses)}


def measure_piece(
    options: HeldOut, resources: Resources, model: Model, worker: WorkerContext, examples: list[Example], of: str = ""
) -> Outcome[Loss]:
    """In a worker: measure the loss on some examples of one origin."""
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

    origin = whole[0].origin if whole else "seed"
    found_under = {tag: measured(*[tag] * len(whole)) for tag in _tags(options, origin)}
    likelihoods, others = found_under[origin], {tag: found_under.get(tag, found_under[origin]) for tag in options.tags}
    for number, (example, own) in enumerate(zip(whole, likelihoods, strict=True)):
        under = {f"nats_{tag}": -found[number].logprob for tag, found in others.items()}
        if not all(map(math.isfinite, (own.logprob, *under.values()))):
            errors = [one.error for one in (own, *(found[number] for found in others.values())) if one.error]
            detail = errors[0] if errors else "the model's numbers overflow"
            outcome.drop(fail(example.id, "pairs", "no-answer", detail, uri=example.provenance.uri))
            continue
        id = record_id(example.id, model.id)
        outcome.keep("pairs", Loss(id, example.id, model.id, -own.logprob, own.tokens, **under, set=of))
    worker.report(len(examples))
    return outcome


@dataclass(frozen=True)
class OfSet:
    """Examples of a set with a name, as one piece of work."""

    name: str
    examples: list[Example]

    def __len__(self) -> int:
        return len(self.examples)


def measure_set(
    options: HeldOut, resources: Resources, model: Model, worker: WorkerContext, piece: OfSet
) -> Outcome[Loss]:
    """In a worker: the same on examples of a set."""
    return measure_piece(options, resources, model, worker, piece.examples, piece.name)
