"""The gate between rounds: the run's result is the last model that helps, and harms next to nothing.

A model is measured on both sides: on pairs of the user's documents, which is where it is to help, and on held-out pairs of
the seed, which is what it is not to forget. The paper takes the last M_t without a check; in a public reproduction M_1 was
worse than M_0 (method.md 6.1). Ours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from askback.evaluate.difference import Interval, loss_difference
from askback.evaluate.loss import summary
from askback.execution.forecast import Forecast
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Counts
from askback.execution.shards import Records, write_records
from askback.execution.step import Step
from askback.recipe import Gate
from askback.records import Loss, Rejection, reject

STAGE = "models"


@recorded(version=7, output="model", forecast=lambda _, context: Forecast(entered=len(context.inputs["losses"]) - 1))
def keep_best(
    step: Step,
    options: Gate,
    *,
    models: Sequence[Model],
    losses: Sequence[Records[Loss]],
    unseen: Sequence[Records[Loss]] | None = None,
) -> Model:
    """Link the result among M_0 … M_T, in both its forms, as this step's model.

    `losses`, on held-out seed pairs, and `unseen`, on pairs of documents that are set aside, if any are, are of the base
    model, M_0 … M_T. In `step.json`, metrics: `round` of the result, `gates`, the entries of `judge_rounds`, `sides`, of
    the base model, M_0 … M_T the loss on either side and the difference to M_0's, and `said`, how the result compares with
    M_0, in words.
    """
    on_seed, on_documents = [list(records) for records in losses], [list(records) for records in unseen or ()]
    gates = judge_rounds(on_seed, on_documents, options)
    passed = [0, *(gate["round"] for gate in gates if gate["passed"])]
    result = passed[-1] if options.enabled else len(models) - 1
    made = step.take_over(models[result])
    sides = {"seed": _side(on_seed, options), "documents": _side(on_documents, options)}
    said = in_words({name: side[1 + result].get("against_m0") for name, side in sides.items() if side})
    step.metrics = {"round": result, "enabled": options.enabled, "gates": gates, "sides": sides, "said": said}
    others = [
        reject(model.id, STAGE, "later-is-no-worse" if t in passed else "worse", f"the result is m{result}")
        for t, model in enumerate(models)
        if t != result
    ]
    write_records(step.folder / "rejected-00000.parquet", Rejection, others)
    step.counts = {STAGE: Counts(len(models), 1, len(others))}
    return made


def judge_rounds(
    losses: Sequence[Sequence[Loss]], unseen: Sequence[Sequence[Loss]], options: Gate
) -> list[dict[str, Any]]:
    """Return the comparison of M_1 and each later model with those before it on both sides; `losses` are as in `keep_best`.

    A model passes if it is better on the documents' side than the best before it, or no worse, and on the seed's side not
    worse than M_0 by more than `options.seed_share` of what M_0 gained over the base model. Each is failed only by a whole
    interval, at `options.confidence`; the interval covers the choice of held-out pairs, not the randomness of trainings
    (evaluate/difference.py). The best is the model of least loss among M_0 and those that passed, not the last that passed:
    otherwise losses within the noise could add up over the rounds. Without pairs of documents, the seed's side alone is
    compared with the best before, and nothing is allowed.

    Each entry: `round`, `against`, `difference` in nats per token, `low` and `high` (None for a single pair) of the seed's
    side, `allowed` there, `documents` (the same four of the other side, or None), `passed`.
    """
    base, *models = losses
    measured = bool(unseen) and all(unseen)
    on_documents = list(unseen[1:]) if measured else models
    gain = max(0.0, -loss_difference(base, models[0], options.confidence).difference)
    allowed = options.seed_share * gain if measured else 0.0
    gates: list[dict[str, Any]] = []
    best = 0
    for t in range(1, len(models)):
        documents = loss_difference(on_documents[best], on_documents[t], options.confidence)
        against = 0 if measured else best
        seed = loss_difference(models[against], models[t], options.confidence)
        passed = documents.low <= 0 and seed.low <= allowed
        gates.append(
            {
                "round": t,
                **_plain(against, seed),
                "allowed": allowed,
                "documents": _plain(best, documents) if measured else None,
                "passed": passed,
            }
        )
        if passed and documents.difference < 0:
            best = t
    return gates


def _plain(against: int, found: Interval) -> dict[str, Any]:
    low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
    return {"against": against, "difference": found.difference, "low": low, "high": high}


def _side(losses: Sequence[Sequence[Loss]], options: Gate) -> list[dict[str, Any]]:
    """Return each model's loss on one side, and its difference to that of M_0; nothing where that side has no pairs."""
    if not losses or not all(losses):
        return []
    found: list[dict[str, Any]] = [dict(summary(own, ())) for own in losses]
    for row, own in zip(found[2:], losses[2:], strict=True):
        row["against_m0"] = _plain(0, loss_difference(losses[1], own, options.confidence))
    return found


def in_words(sides: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return a sentence on how a model compares with M_0 on both sides, "" for M_0 itself.

    Args:
        sides: "seed" and "documents" → the difference and its interval; without a side where that was not measured.
    """
    where = {"documents": "on text like the documents", "seed": "on held-out seed pairs"}
    told = [
        f"{outcome(found)} {place} ({figures(found)})" for name, place in where.items() if (found := sides.get(name))
    ]
    unknown = "" if "documents" in sides else " How it does on text like the documents is not measured."
    return f"Against m0: {', '.join(told)}.{unknown}" if told else ""


def outcome(found: Mapping[str, Any]) -> str:
    """Return what an interval of a difference in loss says."""
    if found["low"] is not None and found["low"] > 0:
        return "worse"
    return "better" if found["high"] is not None and found["high"] < 0 else "no clear difference"


def figures(found: Mapping[str, Any]) -> str:
    """Return a difference in loss and its interval."""
    bounds = "no interval" if found["low"] is None else f"[{found['low']:+.4f}, {found['high']:+.4f}]"
    return f"{found['difference']:+.4f} {bounds} nats per token"
