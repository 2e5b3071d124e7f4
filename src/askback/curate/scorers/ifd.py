"""How much the instruction helps the model to predict the output (method.md 4, after Cherry LLM's IFD)."""

import math
from collections.abc import Sequence

from askback import prompts
from askback.curate.scorers import Scorer
from askback.engines.protocol import Engine, Likelihood
from askback.recipe import Score
from askback.records import UNSCORED, Conversation, Judgement, Message, record_id


def judge(
    scorer: Scorer, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
) -> list[Judgement]:
    """Return the pointwise mutual information of each pair in nats per token of the output: loss alone minus loss given.

    Both are mean losses of the output's first `max_output_tokens` tokens and the stop token, after the prompt of training
    on augmented pairs (`prompts.forward`), without the quality of `select.bins`, which follows from the score. *Given* has
    the instruction; *alone* has an empty one, so that the user's turn is the tag only. Higher is better; 0 or less (a ratio
    given/alone of 1 or more, which Cherry LLM drops) means that the instruction does not help: a mismatch. A very high
    score may mean that the instruction contains the output.

    Departure: Cherry LLM ranks by the ratio of the losses, highest first, to find difficult pairs; here wrong instructions
    are to be found, and the difference, unlike the ratio, is not larger for outputs of low loss. Nothing is sampled, so
    `random_seed` has no effect. A pair is unscored only where log-probabilities overflow, or a server gives none.
    """
    outputs = [engine.truncate(pair.output, options.max_output_tokens) for pair in pairs]
    given = [prompts.forward(pair.messages[:-1], "augmented") for pair in pairs]
    alone = [prompts.forward([*pair.messages[:-2], Message("user", "")], "augmented") for pair in pairs]
    with_it, without = engine.loglikelihood(given, outputs), engine.loglikelihood(alone, outputs)
    return [_judgement(model_id, *row) for row in zip(pairs, with_it, without, strict=True)]


def _judgement(model_id: str, pair: Conversation, given: Likelihood, alone: Likelihood) -> Judgement:
    prompt_id = prompts.prompt_id("forward")
    losses = [-one.logprob / one.tokens if one.tokens else math.nan for one in (given, alone)]
    finite = all(math.isfinite(loss) for loss in losses)
    why = given.error or alone.error or "the model's numbers overflow"
    return Judgement(
        id=record_id(pair.id, "ifd", prompt_id, model_id),
        candidate_id=pair.id,
        scorer="ifd",
        score=losses[1] - losses[0] if finite else None,
        distribution=[],
        mass=None,
        raw=[] if finite else [f"{UNSCORED}{why}"],
        losses=losses if finite else [],
        prompt_id=prompt_id,
        model_id=model_id,
    )


SCORER = Scorer("ifd", judge, calls=frozenset({"loglikelihood"}))
