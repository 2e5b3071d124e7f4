"""Scorers: each is a `Scorer` in the file of its name; the names are in recipe/names.py."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from askback.engines.protocol import Engine
from askback.errors import RecipeError
from askback.recipe import Score, names
from askback.records import Conversation, Judgement


class Judging(Protocol):
    """Judge pairs with a model: one judgement each, in their order, the same for the same arguments.

    A judgement's `prompt_id` is the id of the scorer's prompt (`prompts.prompt_id`), "" if no model is asked.
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
    """A scorer. The prompts and calls of an engine that it uses are found by a trial (trial.py)."""

    name: str
    function: Judging
    lowest: float = -math.inf
    highest: float = math.inf
    """Ends of the scale of its scores; of a rating, the first and the last level."""
    calls: frozenset[str] = frozenset()
    """Engine calls that it makes where an engine has all of them."""
    looks_at: tuple[Literal["instruction", "output"], ...] = ("instruction", "output")
    words: str = ""
    """Text of its prompt; "" takes ``prompts/NAME.txt``."""
    needs: tuple[str, str] | None = None
    """A module that it needs, and the extra that installs it."""

    @property
    def rated(self) -> bool:
        """Whether a model writes a rating, before which it can write a reasoning."""
        return bool(self.calls & {"choose", "generate"})

    def judge(
        self, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
    ) -> list[Judgement]:
        """Judge pairs with a model, as `Judging` says."""
        return self.function(self, engine, model_id, options, pairs, random_seed)


def scorer(name: str) -> Scorer:
    """Return a scorer, ours or that of an installed package.

    Raises:
        RecipeError: there is none of this name, or a package's entry point is no `Scorer`.
    """
    found = names.scorer(name)
    if not isinstance(found, Scorer):
        raise RecipeError(f"scorer '{name}' is a {type(found).__name__}; it has to be an askback.curate.scorers.Scorer")
    return found


def packages(options: Score) -> dict[str, str]:
    """Return scorer → package and version, for the scorers of other packages."""
    found = {name: names.package_of(name) for name in options.scorers}
    return {f"scorer:{name}": where for name, where in found.items() if where}
