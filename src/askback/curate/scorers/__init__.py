"""Scorers: one file each; a scorer looks at pairs and returns a judgement for every one of them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from askback.config import Score
from askback.engines.base import Engine
from askback.errors import RecipeError
from askback.records import Judgement

SCORERS = {
    "rubric": "askback.curate.scorers.rubric:judge",
    "additive": "askback.curate.scorers.additive:judge",
    "ifd": "askback.curate.scorers.ifd:judge",
    "instruction": "askback.curate.scorers.instruction:judge",
    "whole": "askback.curate.scorers.whole:judge",
}
PROMPTS = {"rubric": "rubric", "additive": "additive", "ifd": "forward", "instruction": "instruction"}
"""The prompt that each scorer uses; `whole` asks no model."""


class Pair(Protocol):
    """What a scorer looks at: a candidate, or any other record that is an instruction and an output."""

    @property
    def id(self) -> str: ...
    @property
    def instruction(self) -> str: ...
    @property
    def output(self) -> str: ...


class Scorer(Protocol):
    """Judge pairs with a model; one judgement each, in their order, the same for the same arguments."""

    def __call__(
        self, engine: Engine, model_id: str, options: Score, pairs: Sequence[Pair], random_seed: int
    ) -> list[Judgement]: ...


def check_calls(options: Score, engine: str, calls: Iterable[str]) -> list[str]:
    """Return what the scorers have to do without on an engine that answers `calls` only, a sentence each.

    Raises:
        RecipeError: one of them cannot do without.
    """
    found = frozenset(calls)
    if "ifd" in options.scorers and "loglikelihood" not in found:
        raise RecipeError(
            f"score.scorers has ifd, which needs the probability of a given text, and the engine '{engine}' does not tell "
            "that; take another scorer or another engine"
        )
    rated = [name for name in options.scorers if name in ("rubric", "additive", "instruction")]
    if rated and "choose" not in found:
        return [
            f"the engine '{engine}' does not tell the probabilities of the digits: {', '.join(rated)} will read the score "
            "in the answer's text, and leave a candidate unscored where there is none"
        ]
    return []
