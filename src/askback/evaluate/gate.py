"""The gate between rounds: the run's result is the last model that is not worse than the best before it.

The paper takes the last M_t without a look; on a public reproduction M_1 was worse than M_0 (method.md 6.1). Ours.
"""

import math
from collections.abc import Sequence
from typing import Any

from askback.evaluate.difference import loss_difference
from askback.execution.forecast import Forecast
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Counts
from askback.execution.shards import Records, write_records
from askback.execution.step import Step
from askback.recipe import Gate
from askback.records import Loss, Rejection, reject

STAGE = "models"


@recorded(version=3, output="model", forecast=lambda _, context: Forecast(entered=len(context.inputs["losses"])))
def keep_best(step: Step, options: Gate, *, models: Sequence[Model], losses: Sequence[Records[Loss]]) -> Model:
    """Link the result among M_0 … M_T, in both its forms, as this step's model.

    In `step.json`, metrics: `round` of the result, and `gates`, one for each later round, as `judge_rounds` has them.
    """
    measured = [list(records) for records in losses]
    gates = judge_rounds(measured, options.confidence)
    passed = [0, *(gate["round"] for gate in gates if gate["passed"])]
    result = passed[-1] if options.enabled else len(models) - 1
    made = step.take_over(models[result])
    step.metrics = {"round": result, "enabled": options.enabled, "gates": gates}
    others = [
        reject(model.id, STAGE, "later-is-no-worse" if t in passed else "worse", f"the result is m{result}")
        for t, model in enumerate(models)
        if t != result
    ]
    write_records(step.folder / "rejected-00000.parquet", Rejection, others)
    step.counts = {STAGE: Counts(len(models), 1, len(others))}
    return made


def judge_rounds(losses: Sequence[Sequence[Loss]], confidence: float) -> list[dict[str, Any]]:
    """Return, for M_1 and each later model, whether it passed: whether it is not worse, beyond noise, than the best so far.

    The best so far is the one of least loss among M_0 and those that passed, not the last that passed: else each round
    could lose a little within the noise, and nobody would notice. Worse beyond noise is an interval of the difference that
    lies above 0 as a whole; it holds the chance in which pairs are held out, and not that of the trainings
    (evaluate/difference.py). Each entry: `round`, `against` (the round of the best so far), `difference` in nats per token,
    `low`, `high` (None from a single pair, of which nothing can be said), `passed`.
    """
    gates: list[dict[str, Any]] = []
    best = 0
    for t in range(1, len(losses)):
        found = loss_difference(losses[best], losses[t], confidence)
        passed = found.low <= 0
        low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
        gates.append(
            {"round": t, "against": best, "difference": found.difference, "low": low, "high": high, "passed": passed}
        )
        if passed and found.difference < 0:
            best = t
    return gates
