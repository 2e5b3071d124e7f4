"""Scorers: one file each; a scorer looks at candidates and returns a judgement for every one of them."""

from collections.abc import Sequence
from typing import Protocol

from askback.config import Score
from askback.engines.base import Engine
from askback.records import Candidate, Judgement

SCORERS = {"rubric": "askback.curate.scorers.rubric:judge"}


class Scorer(Protocol):
    """Judge candidates with a model; one judgement each, in their order."""

    def __call__(
        self, engine: Engine, model_id: str, options: Score, candidates: Sequence[Candidate]
    ) -> list[Judgement]: ...
