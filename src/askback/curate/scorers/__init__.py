"""Scorers: one file each; a scorer looks at pairs and returns a judgement for every one of them."""

from collections.abc import Sequence
from typing import Protocol

from askback.engines.protocol import Engine
from askback.recipe import Score
from askback.records import Judgement

SCORERS = {
    "rubric": "askback.curate.scorers.rubric:judge",
    "additive": "askback.curate.scorers.additive:judge",
    "ifd": "askback.curate.scorers.ifd:judge",
    "instruction": "askback.curate.scorers.instruction:judge",
    "whole": "askback.curate.scorers.whole:judge",
}


class Pair(Protocol):
    """What a scorer looks at: a candidate, or any other record that is an instruction and an output."""

    @property
    def id(self) -> str: ...
    @property
    def instruction(self) -> str: ...
    @property
    def output(self) -> str: ...


class Scorer(Protocol):
    """Judge pairs with a model; one judgement each, in their order, the same for the same arguments.

    A judgement's `prompt_id` is that of the prompt it was asked with (`prompts.prompt_id`), "" if no model was asked. What
    else there is to know of a scorer follows from what it asks (trial.py).
    """

    def __call__(
        self, engine: Engine, model_id: str, options: Score, pairs: Sequence[Pair], random_seed: int
    ) -> list[Judgement]: ...
