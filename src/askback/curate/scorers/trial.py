"""The engine calls and prompts of a scorer, found by running it on an engine that only records its calls.

So the plan, the checks and a step's identity know every scorer without another table.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from askback.curate.scorers import scorer
from askback.engines.protocol import CALLS, Completion, Likelihood, Sampling
from askback.errors import RecipeError
from askback.prompts.prompt import Prompt
from askback.recipe import Score, Select
from askback.records import Conversation, Judgement, Provenance, exchange

if TYPE_CHECKING:
    from askback.engines.protocol import States

NEEDS = {
    "generate": "written text",
    "choose": "the probabilities of given words",
    "loglikelihood": "the probability of a given text",
    "represent": "hidden states",
}
"""What each call of an engine returns, in words."""


def pair(id: str, instruction: str, output: str) -> Conversation:
    """Return a conversation to run a scorer on."""
    return Conversation(id, exchange(instruction, output), Provenance())


PAIR = pair("tried", "Why is the sky blue?", "Because blue light is scattered most.")


class Noting:
    """An engine without a model that records the prompts it reads and the number of tokens it may write (`written`).

    `read` holds the prompts, each with the continuation whose log-probability is asked for, "" for none. Its own answers
    are about as long as allowed. No tokens are counted as used.
    """

    def __init__(self, calls: Iterable[str] = CALLS) -> None:
        self.calls = frozenset(calls)
        self.asked: set[str] = set()
        self.read: list[tuple[Prompt, str]] = []
        self.written = 0
        self.choices: list[str] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Return answers of `max_new_tokens` words."""
        self._note("generate", prompts)
        self.written += len(prompts) * sampling.max_new_tokens
        return [Completion(" so" * sampling.max_new_tokens, sampling.max_new_tokens, True) for _ in prompts]

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return the same log-probability for each choice."""
        self._note("choose", prompts)
        self.choices = list(choices)
        return [[-math.log(len(choices))] * len(choices) for _ in prompts]

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return a log-probability of -1 for each continuation."""
        self._note("loglikelihood", prompts, continuations)
        return [Likelihood(-1.0, 1) for _ in prompts]

    def represent(self, prompts: Sequence[Prompt], answers: Sequence[str], depths: Sequence[float]) -> "list[States]":
        """Return states of a width of 1, all 0."""
        import numpy as np

        self._note("represent", prompts, answers)
        return [np.zeros((len(depths), 2, 1), np.float32) for _ in prompts]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the whole text: callers pass texts of the wanted length."""
        return text

    def _note(self, call: str, prompts: Sequence[Prompt], continuations: Sequence[str] = ()) -> None:
        self.asked.add(call)
        self.read += zip(prompts, continuations or [""] * len(prompts), strict=True)


def tried(name: str, options: Score, engine: Noting, pairs: Sequence[Conversation] = (PAIR,)) -> list[Judgement]:
    """Return a scorer's judgements of pairs on an engine that records its calls.

    Raises:
        RecipeError: there is no such scorer.
    """
    return scorer(name).judge(engine, "", options, pairs, 0)


def used_prompts(options: Score) -> dict[str, str]:
    """Return the prompts of the scorers, name → id."""
    ids = [one.prompt_id for name in options.scorers for one in tried(name, options, Noting())]
    return {prompt_id.rpartition("-")[0]: prompt_id for prompt_id in ids if prompt_id}


def check_calls(options: Score, engine: str, calls: Iterable[str], select: Select | None = None) -> list[str]:
    """Return a sentence for each way in which scorers are limited on an engine that has `calls` only.

    Args:
        select: the options by which `select` will use the judgements, if known.

    Raises:
        RecipeError: a scorer, or `select`, needs a call that the engine lacks.
    """
    if select is not None and select.min_probability is not None and "choose" not in calls:
        raise RecipeError(
            f"select.min_probability needs {NEEDS['choose']}, which the engine '{engine}' does not return; give "
            "min_score, top_fraction or top_n, or take another engine"
        )
    found, rated = frozenset(calls), []
    for name in options.scorers:
        able, here = Noting(), Noting(found)
        for noting in (able, here):
            tried(name, options, noting)
        for call in sorted(here.asked - found):
            raise RecipeError(
                f"score.scorers has {name}, which needs {NEEDS[call]}; the engine '{engine}' does not return that; take "
                "another scorer or another engine"
            )
        if "choose" in able.asked - found:
            rated.append(name)
    if rated:
        return [
            f"the engine '{engine}' does not return log-probabilities of the digits: {', '.join(rated)} will parse the "
            "score from the answer's text, and leave a candidate unscored where it holds none"
        ]
    return []
