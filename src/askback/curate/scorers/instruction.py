"""The instruction judged alone (method.md 4, after Kun), read from the model's own probabilities."""

from collections.abc import Sequence

from askback import prompts
from askback.curate.scorers import Pair
from askback.curate.scorers.rating import rate
from askback.engines.protocol import Engine
from askback.recipe import Score
from askback.records import Judgement

LEVELS = (1, 2, 3, 4, 5)


def judge(engine: Engine, model_id: str, options: Score, pairs: Sequence[Pair], random_seed: int) -> list[Judgement]:
    """Return the expected level of each instruction, 1 to 5: is it clear, and complete without any text that is not there?

    Kun found that a model which could not tell good pairs could tell good instructions. Departures: Kun asks for good or
    bad, with examples; five levels are read here as in rubric.py, so that they rank. The output is not shown.
    """
    asked = [prompts.instruction(pair.instruction, options.reasoning) for pair in pairs]
    return rate("instruction", LEVELS, engine, model_id, options, pairs, asked, random_seed)
