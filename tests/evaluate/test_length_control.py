"""The published figures come out of the published judgements; what was put into made-up judgements is found again."""

from pathlib import Path

import numpy as np
import pytest

from askback.evaluate.alpaca_eval import published
from askback.evaluate.length_control import length_controlled


def test_published_win_rates(shared_data: Path) -> None:
    folder = shared_data / "eval/alpaca_eval"
    guanaco, minimal = published(folder / "guanaco-65b.v1.annotations.json.gz")
    assert guanaco.win_rate == pytest.approx(71.80124223602485, abs=1e-9)
    assert guanaco.standard_error == pytest.approx(1.586912361158523, abs=1e-9)
    assert (guanaco.prompts, guanaco.wins, guanaco.losses, guanaco.ties, guanaco.unscored) == (805, 578, 227, 0, 0)
    # AlpacaEval's minimal form fitted by scikit-learn's liblinear with its settings (L1, C = 100).
    assert minimal.win_rate == pytest.approx(53.41674, abs=0.01)
    oasst, minimal = published(folder / "oasst-sft-pythia-12b.v2.annotations.json.gz")
    assert oasst.win_rate == pytest.approx(1.790114083180124, abs=1e-9)
    assert oasst.standard_error == pytest.approx(0.3985580883049341, abs=1e-9)
    assert minimal.win_rate == pytest.approx(4.15851, abs=0.01)
    # The full form, with difficulties that are not at hand, was published as 3.27; the minimal one is within its error.
    assert abs(minimal.win_rate - 3.270102114456748) < minimal.standard_error


def judgements(
    seed: int, count: int, theta: float, phi: float, psi: float = 0.0
) -> tuple[list[tuple[float, int, int]], list[float]]:
    """Return judgements drawn from the formula itself, of a model that writes at more length, and difficulties."""
    random = np.random.default_rng(seed)
    model, baseline = random.integers(300, 2300, count), random.integers(100, 1600, count)
    gap = baseline - model
    difficulty = random.normal(size=count)
    chance = 1 / (1 + np.exp(-(theta + phi * np.tanh(gap / gap.std(ddof=1)) + psi * difficulty)))
    won = random.random(count) < chance
    rows = [(float(w), int(m), int(b)) for w, m, b in zip(won, model, baseline, strict=True)]
    return rows, [float(one) for one in difficulty]


def test_what_length_bought_is_taken_out() -> None:
    rows, _ = judgements(1, 20_000, theta=-0.4, phi=-1.5)
    raw = 100 * sum(won for won, _, _ in rows) / len(rows)
    found = length_controlled(rows)
    truth = 100 / (1 + np.exp(0.4))
    assert raw > 52 and found.win_rate == pytest.approx(truth, abs=1.2)
    assert found.length_effect == pytest.approx(-1.5, abs=0.1) and found.difficulty_effect is None


def test_the_full_formula_uses_difficulty() -> None:
    rows, difficulty = judgements(2, 20_000, theta=0.8, phi=-1.0, psi=1.2)
    found = length_controlled(rows, difficulty)
    assert found.difficulty_effect == pytest.approx(1.2, abs=0.1) and found.model_effect == pytest.approx(0.8, abs=0.1)
    truth = 100 * np.mean([1 / (1 + np.exp(-0.8 - 1.2 * one)) for one in difficulty])
    assert found.win_rate == pytest.approx(truth, abs=1.2)


def test_the_standard_error_covers() -> None:
    truth, inside = 100 / (1 + np.exp(-0.3)), 0
    for seed in range(300):
        found = length_controlled(judgements(seed, 150, theta=0.3, phi=-1.0)[0])
        inside += abs(found.win_rate - truth) < 1.96 * found.standard_error
    assert 0.91 <= inside / 300 <= 0.98


@pytest.mark.parametrize("preference", [0.0, 1.0])
def test_one_sided_or_equally_long_judgements_stay_finite(preference: float) -> None:
    found = length_controlled([(preference, 100 + n, 120) for n in range(20)])
    assert abs(found.win_rate - 100 * preference) < 5 and np.isfinite(found.standard_error)
    assert length_controlled([(0.5, 100, 100)] * 20).win_rate == pytest.approx(50)
