"""Held-out loss: how well a model predicts what people answered. The cheapest evidence that training helped."""

from functools import partial

from askback import prompts
from askback.config import HeldOut, Resources
from askback.engines import open_engine
from askback.execution.processes import report
from askback.execution.shards import Records
from askback.execution.step import Model, Step, recorded
from askback.records import Example, Loss, Outcome, record_id

PIECE = 16


@recorded(version=1)
def measure_loss(step: Step, options: HeldOut, *, model: Model, examples: Records) -> Records:
    """Measure the loss per output token, stop token included, on the held-out examples.

    The prompt carries the tag that the example's origin has in training (S_a for seed pairs), so that no model meets a
    prompt here that it has not met before. In `step.json`, metrics: `loss` in nats per token, `tokens`, `examples`.
    """
    held_out = sorted((example for example in examples if example.split == "held-out"), key=lambda example: example.id)
    measured = held_out[: options.limit]
    pieces = [(measured[start : start + PIECE],) for start in range(0, len(measured), PIECE)]
    work = partial(measure_piece, options, step.resources, model)
    losses = step.pieces(work, pieces, Loss, "pairs", [len(piece) for (piece,) in pieces])
    nats, tokens = (sum(values) for values in zip(*((loss.nats, loss.tokens) for loss in losses), strict=True))
    step.metrics = {"loss": nats / tokens, "tokens": tokens, "examples": len(losses)}
    return losses


def measure_piece(options: HeldOut, resources: Resources, model: Model, examples: list[Example]) -> Outcome:
    """In a worker: measure on some examples."""
    engine = open_engine(resources.engine, str(model.path), model.chat_template)
    likelihoods = engine.loglikelihood(
        [prompts.forward(example.instruction, example.origin) for example in examples],
        [engine.truncate(example.output, options.max_tokens) for example in examples],
    )
    outcome = Outcome()
    for example, found in zip(examples, likelihoods, strict=True):
        id = record_id(example.id, model.id)
        outcome.keep("pairs", Loss(id, example.id, model.id, -found.logprob, found.tokens))
    report(len(examples), sum(found.tokens for found in likelihoods))
    return outcome
