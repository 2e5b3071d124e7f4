"""The gate between rounds: the run's result is the last model that is not worse than the best before it.

The paper takes the last M_t without a check; in a public reproduction M_1 was worse than M_0 (method.md 6.1). Ours.
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

    In `step.json`, metrics: `round` of the result, and `gates`, the entries of `judge_rounds`.
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
    """Return the comparison of M_1 and each later model with the best before it; a model passes if it is not worse.

    The best is the model of least loss among M_0 and those that passed, not the last that passed: otherwise losses within
    the noise could add up over the rounds. A model is worse if the whole interval of the difference in loss lies above 0;
    the interval covers the choice of held-out pairs, not the randomness of trainings (evaluate/difference.py). Each entry:
    `round`, `against` (the round of the best), `difference` in nats per token, `low` and `high` (None for a single pair),
    `passed`.
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
