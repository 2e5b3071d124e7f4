"""The paper's five-level rubric (method.md 1.7), read from the model's own probabilities."""

from collections.abc import Sequence

from askback import prompts
from askback.curate.scorers import Pair
from askback.curate.scorers.rating import rate
from askback.engines.protocol import Engine
from askback.recipe import Score
from askback.records import Judgement

LEVELS = (1, 2, 3, 4, 5)


def judge(engine: Engine, model_id: str, options: Score, pairs: Sequence[Pair], random_seed: int) -> list[Judgement]:
    """Return the expected level of each pair, 1 to 5.

    Departure: the paper samples a reasoning and a digit and reads the digit with a pattern; the public reproduction lost
    45 to 67 % of its scores so (method.md 6.1). Here the answer is made to begin with "Score:", or to go on with it after
    the reasoning, and the score is the expected value under the model's probabilities of the five digits, which always
    exists, and gives "4.5 or more" a meaning. Only a model whose numbers overflow leaves a pair unscored.
    """
    outputs = [engine.truncate(pair.output, options.max_output_tokens) for pair in pairs]
    asked = [
        prompts.rubric(pair.instruction, output, options.reasoning) for pair, output in zip(pairs, outputs, strict=True)
    ]
    return rate("rubric", LEVELS, engine, model_id, options, pairs, asked, random_seed)
