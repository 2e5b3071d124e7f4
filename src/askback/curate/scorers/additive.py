"""Self-Rewarding's five points (method.md 4.1), read from the model's own probabilities."""

from collections.abc import Sequence

from askback import prompts
from askback.curate.scorers import Pair
from askback.curate.scorers.rating import rate
from askback.engines.protocol import Engine
from askback.recipe import Score
from askback.records import Judgement

LEVELS = (0, 1, 2, 3, 4, 5)


def judge(engine: Engine, model_id: str, options: Score, pairs: Sequence[Pair], random_seed: int) -> list[Judgement]:
    """Return the expected number of points of each pair, 0 to 5: one for each of five statements that is true of it.

    On one 70B model this agreed with people's order of two answers in 65 % of cases, the paper's rubric in 27 %. The words
    are ours. Departures: the total is an expected value as in rubric.py, and a written reasoning is optional.
    """
    outputs = [engine.truncate(pair.output, options.max_output_tokens) for pair in pairs]
    asked = [
        prompts.additive(pair.instruction, output, options.reasoning)
        for pair, output in zip(pairs, outputs, strict=True)
    ]
    return rate("additive", LEVELS, engine, model_id, options, pairs, asked, random_seed)
