"""Scores are expected values that always exist."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.curate.scorers.rating import normalise
from askback.curate.scorers.rubric import SCORER as RUBRIC
from askback.engines.scripted import Scripted
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions, Score
from askback.records import Candidate, Provenance, exchange


def candidate(number: int, output: str = "An answer.") -> Candidate:
    return Candidate(
        f"c{number}", exchange(f"Ask {number}?", output, "s"), Provenance("u", "html", language="en"), [], "p", "m", 0
    )


def test_the_score_is_the_expected_level() -> None:
    distribution, mass = normalise([math.log(p) for p in (0.01, 0.02, 0.03, 0.04, 0.10)])
    assert mass == pytest.approx(0.2) and distribution == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.5])
    assert sum(n * p for n, p in enumerate(distribution, 1)) == pytest.approx(4.0)


@given(st.lists(st.floats(-5000, 0), min_size=5, max_size=5))
def test_any_log_probabilities_give_a_score_on_the_scale(logprobs: list[float]) -> None:
    distribution, mass = normalise(logprobs)
    assert sum(distribution) == pytest.approx(1) and mass >= 0
    assert 1 <= sum(n * p for n, p in enumerate(distribution, 1)) <= 5 + 1e-9


class Broken(Scripted):
    """An engine whose numbers overflow."""

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        return [[math.nan] * len(choices) for _ in prompts]


def test_a_score_that_is_no_number_is_no_score() -> None:
    (judgement,) = RUBRIC.judge(Broken("", EngineOptions(kind="scripted")), "m0", Score(), [candidate(1)], 0)
    assert (judgement.score, judgement.distribution, judgement.mass) == (None, [], None)


def test_every_candidate_gets_a_judgement_in_order(tmp_path: Path) -> None:
    candidates = [candidate(n) for n in range(50)]
    judgements = RUBRIC.judge(Scripted("", EngineOptions(kind="scripted")), "m0", Score(), candidates, 0)
    assert [j.candidate_id for j in judgements] == [c.id for c in candidates]
    assert all(j.score is not None and 1 <= j.score <= 5 and j.model_id == "m0" for j in judgements)
    assert len({j.score for j in judgements}) > 40
