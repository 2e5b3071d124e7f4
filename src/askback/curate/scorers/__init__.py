"""Scorers: one record each, in the file that is called like it; their names are in recipe/names.py."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from askback.engines.protocol import Engine
from askback.errors import RecipeError
from askback.recipe import Score, names
from askback.records import Conversation, Judgement


class Judging(Protocol):
    """Judge pairs with a model; one judgement each, in their order, the same for the same arguments.

    A judgement's `prompt_id` is that of the prompt it was asked with (`prompts.prompt_id`), "" if no model was asked.
    """

    def __call__(
        self,
        scorer: "Scorer",
        engine: Engine,
        model_id: str,
        options: Score,
        pairs: Sequence[Conversation],
        random_seed: int,
    ) -> list[Judgement]: ...


@dataclass(frozen=True)
class Scorer:
    """All there is to know of a scorer before it judges; what it asks of a model in full is found by a trial (trial.py)."""

    name: str
    function: Judging
    lowest: float = -math.inf
    highest: float = math.inf
    """Ends of the scale of its scores; of a rating, the first and the last level."""
    calls: frozenset[str] = frozenset()
    """What it asks of an engine that answers every call."""
    looks_at: tuple[Literal["instruction", "output"], ...] = ("instruction", "output")
    words: str = ""
    """The words of its prompt; "" takes those of ``prompts/NAME.txt``."""

    @property
    def rated(self) -> bool:
        """Whether a model gives a rating in words, for which it can also give reasons."""
        return bool(self.calls & {"choose", "generate"})

    def judge(
        self, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
    ) -> list[Judgement]:
        """Judge pairs with a model, as `Judging` says."""
        return self.function(self, engine, model_id, options, pairs, random_seed)


def scorer(name: str) -> Scorer:
    """Return a scorer, ours or that of an installed package.

    Raises:
        RecipeError: there is none of this name, or what a package brings is none.
    """
    found = names.scorer(name)
    if not isinstance(found, Scorer):
        raise RecipeError(f"scorer '{name}' is a {type(found).__name__}; it has to be an askback.curate.scorers.Scorer")
    return found


def packages(options: Score) -> dict[str, str]:
    """Return the packages that scorers of others come from: scorer → package and version."""
    found = {name: names.package_of(name) for name in options.scorers}
    return {f"scorer:{name}": where for name, where in found.items() if where}
