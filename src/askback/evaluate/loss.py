"""Held-out loss: how well a model predicts what people answered. The cheapest evidence that training helped."""

import math
from functools import partial

from askback import prompts
from askback.config import HeldOut, Resources
from askback.engines import open_engine
from askback.execution.identity import Model, recorded
from askback.execution.processes import report
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Example, Loss, Outcome, fail, record_id, reject

PIECE = 16


@recorded(version=1, engine="loss", prompts=("forward",))
def measure_loss(step: Step, options: HeldOut, *, model: Model, examples: Records) -> Records:
    """Measure the loss per output token, stop token included, on the held-out examples.

    The prompt carries the tag that the example's origin has in training (S_a for seed pairs), so that no model meets a
    prompt here that it has not met before. A pair longer than `max_tokens` is left out: cut short, it would be measured as
    if it ended there. In `step.json`, metrics: `loss` in nats per token, `tokens`, `examples`.
    """
    held_out = sorted((example for example in examples if example.split == "held-out"), key=lambda example: example.id)
    measured = held_out[: options.limit]
    pieces = [(measured[start : start + PIECE],) for start in range(0, len(measured), PIECE)]
    work = partial(measure_piece, options, step.resources, model)
    losses = step.pieces(work, pieces, Loss, "pairs", [len(piece) for (piece,) in pieces])
    found = [(loss.nats, loss.tokens) for loss in losses]
    nats, tokens = sum(nats for nats, _ in found), sum(tokens for _, tokens in found)
    step.metrics = {"loss": nats / tokens if tokens else None, "tokens": tokens, "examples": len(found)}
    return losses


def measure_piece(options: HeldOut, resources: Resources, model: Model, examples: list[Example]) -> Outcome:
    """In a worker: measure on some examples."""
    engine = open_engine(resources.engine, str(model.path), model.chat_template)
    outcome = Outcome()
    whole = []
    for example in examples:
        text = f"{example.instruction}\n{example.output}"
        if engine.truncate(text, options.max_tokens) == text:
            whole.append(example)
        else:
            detail = f"more than {options.max_tokens} tokens"
            outcome.drop(reject(example.id, "pairs", "over-max-tokens", detail, uri=example.uri, text=text))
    likelihoods = engine.loglikelihood(
        [prompts.forward(example.instruction, example.origin) for example in whole],
        [example.output for example in whole],
    )
    for example, found in zip(whole, likelihoods, strict=True):
        if math.isnan(found.logprob):
            outcome.drop(fail(example.id, "pairs", "no-answer", "the engine's server gave none", uri=example.uri))
            continue
        id = record_id(example.id, model.id)
        outcome.keep("pairs", Loss(id, example.id, model.id, -found.logprob, found.tokens))
    report(len(examples))
    return outcome
