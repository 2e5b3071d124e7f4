"""Length-controlled win rate: an estimate of the win rate for answers of equal length (method.md 4.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

RIDGE = 1e-3
"""Weight of the squared coefficients in the fit: negligible beside ten judgements, yet it keeps the fit finite."""
STEPS = 100


@dataclass(frozen=True)
class LengthControlled:
    """Win rate and its standard error in percent, and the fitted effects: of the model, of length, of difficulty.

    A `length_effect` above 0 means that the judge prefers short answers, below 0 long ones.
    """

    win_rate: float
    standard_error: float
    model_effect: float
    length_effect: float
    difficulty_effect: float | None


def length_controlled(
    judged: Sequence[tuple[float, int, int]], difficulty: Sequence[float] | None = None
) -> LengthControlled:
    """Fit P(model preferred) = sigmoid(theta + phi tanh((baseline - model) / sd) + psi difficulty); set phi to 0.

    `judged` holds (preference for the model in [0, 1], model characters, baseline characters); sd is the standard
    deviation of the length differences. The win rate is the mean prediction without the length term; its standard error is
    the sandwich estimate, as preferences are shares and not samples. Departures from AlpacaEval: maximum likelihood by
    Newton's method where it has an L1 penalty chosen by cross-validation, and no gamed copies of the baseline; both are
    small corrections. Without `difficulty`, published for its own 805 prompts only, this is its minimal form.
    """
    import numpy as np

    table = np.asarray(judged, dtype=float)
    wanted, gap = table[:, 0], table[:, 2] - table[:, 1]
    spread = float(gap.std(ddof=1)) if len(gap) > 1 else 0.0
    columns = [np.ones(len(gap)), np.tanh(gap / spread) if spread else np.zeros(len(gap))]
    if difficulty is not None:
        columns.append(np.asarray(difficulty, dtype=float))
    features = np.column_stack(columns)
    weights = np.zeros(features.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (wanted - chance) - RIDGE * weights
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights = weights + step * min(1.0, 4 / max(1e-12, float(np.abs(step).max())))
        if float(np.abs(step).max()) < 1e-12:
            break
    score = features * (wanted - chance)[:, None]
    inverse = np.linalg.inv(curve)
    variance = inverse @ (score.T @ score) @ inverse
    equal = features.copy()
    equal[:, 1] = 0
    chance = 1 / (1 + np.exp(-equal @ weights))
    direction = (equal * (chance * (1 - chance))[:, None]).mean(axis=0)
    # The variance over prompts, which are a sample too, adds to that of the fit.
    error = math.sqrt(float(direction @ variance @ direction) + float(chance.var()) / len(chance))
    effects = [float(weight) for weight in weights]
    return LengthControlled(
        100 * float(chance.mean()), 100 * error, effects[0], effects[1], effects[2] if len(effects) > 2 else None
    )
