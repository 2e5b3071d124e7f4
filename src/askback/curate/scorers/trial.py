"""What a scorer asks of a model, found by having it judge with an engine that only notes what it is asked.

So a scorer that is listed is known to the plan, to the checks and to a step's identity without another table.
"""

import math
from collections.abc import Iterable, Sequence

from askback.curate.scorers import scorer
from askback.engines.protocol import CALLS, Completion, Likelihood, Sampling
from askback.errors import RecipeError
from askback.prompts.prompt import Prompt
from askback.recipe import Score, Select
from askback.records import Conversation, Judgement, Provenance, exchange

NEEDS = {
    "generate": "written text",
    "choose": "the probabilities of given words",
    "loglikelihood": "the probability of a given text",
}
"""What each call of an engine tells, in words."""


def pair(id: str, instruction: str, output: str) -> Conversation:
    """Return a conversation to try a scorer on."""
    return Conversation(id, exchange(instruction, output), Provenance())


PAIR = pair("tried", "Why is the sky blue?", "Because blue light is scattered most.")


class Noting:
    """An engine that answers from nothing, and notes each prompt that is read and how much may be written.

    `read` holds prompts, each with the text after it whose probability is asked for, "" if there is none. What it writes
    is about as long as it may be. Nothing counts as used.
    """

    def __init__(self, calls: Iterable[str] = CALLS) -> None:
        self.calls = frozenset(calls)
        self.asked: set[str] = set()
        self.read: list[tuple[Prompt, str]] = []
        self.written = 0
        self.choices: list[str] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Return as many words as may be written."""
        self._note("generate", prompts)
        self.written += len(prompts) * sampling.max_new_tokens
        return [Completion(" so" * sampling.max_new_tokens, sampling.max_new_tokens, True) for _ in prompts]

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return the same for each choice."""
        self._note("choose", prompts)
        self.choices = list(choices)
        return [[-math.log(len(choices))] * len(choices) for _ in prompts]

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return a nat for each text."""
        self._note("loglikelihood", prompts, continuations)
        return [Likelihood(-1.0, 1) for _ in prompts]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the text whole: whoever wants it shorter gives it so."""
        return text

    def _note(self, call: str, prompts: Sequence[Prompt], continuations: Sequence[str] = ()) -> None:
        self.asked.add(call)
        self.read += zip(prompts, continuations or [""] * len(prompts), strict=True)


def tried(name: str, options: Score, engine: Noting, pairs: Sequence[Conversation] = (PAIR,)) -> list[Judgement]:
    """Return what a scorer says of pairs with an engine that notes what it is asked.

    Raises:
        RecipeError: there is no such scorer.
    """
    return scorer(name).judge(engine, "", options, pairs, 0)


def used_prompts(options: Score) -> dict[str, str]:
    """Return the prompts that the scorers use, name → id, from their judgements."""
    ids = [one.prompt_id for name in options.scorers for one in tried(name, options, Noting())]
    return {prompt_id.rpartition("-")[0]: prompt_id for prompt_id in ids if prompt_id}


def check_calls(options: Score, engine: str, calls: Iterable[str], select: Select | None = None) -> list[str]:
    """Return what the scorers have to do without on an engine that answers `calls` only, a sentence each.

    Args:
        select: what is to be chosen by their judgements, if that is known.

    Raises:
        RecipeError: one of them cannot do without, or the choice cannot.
    """
    if select is not None and select.min_probability is not None and "choose" not in calls:
        raise RecipeError(
            f"select.min_probability needs {NEEDS['choose']}, and the engine '{engine}' does not tell that; give "
            "min_score, top_fraction or top_n, or take another engine"
        )
    found, rated = frozenset(calls), []
    for name in options.scorers:
        able, here = Noting(), Noting(found)
        for noting in (able, here):
            tried(name, options, noting)
        for call in sorted(here.asked - found):
            raise RecipeError(
                f"score.scorers has {name}, which needs {NEEDS[call]}, and the engine '{engine}' does not tell that; take "
                "another scorer or another engine"
            )
        if "choose" in able.asked - found:
            rated.append(name)
    if rated:
        return [
            f"the engine '{engine}' does not tell the probabilities of the digits: {', '.join(rated)} will read the score "
            "in the answer's text, and leave a candidate unscored where there is none"
        ]
    return []
