"""What the judge of a win rate will be asked, and what that costs, told before it is asked."""

from collections.abc import Iterable

from askback.engines.usage import Tokens
from askback.evaluate.answers import prompts_of
from askback.evaluate.options import Judging, PromptFile
from askback.evaluate.pairwise import judging_tokens
from askback.execution.budget import cost
from askback.execution.forecast import Pair
from askback.methods import names
from askback.recipe import EngineOptions, Resources
from askback.studies.run_folder import RunFolder
from askback.studies.sides import HELD_OUT


def judging(asked: Iterable[Pair], models: int, most: int, engine: EngineOptions, resources: Resources) -> str:
    """Return in words what it takes to compare the answers of `models` models to these prompts with those of another.

    Args:
        asked: prompts with their references, "" for none.
        most: largest number of tokens of an answer.
    """
    prompts = list(asked)
    once = judging_tokens(prompts, Judging(), most)
    tokens = Tokens(once.prompt * models, once.output * models)
    usd = cost(tokens, 0.0, engine, resources)
    price = f", {usd:,.2f} USD at the recipe's prices" if usd else ""
    return (
        f"the judge compares at most {2 * len(prompts) * models:,} times, less what it has compared before: some "
        f"{tokens.prompt:,} tokens read and at most {tokens.output:,} written{price}"
    )


def asked_of(name: str, limit: int | None, made: RunFolder) -> list[Pair]:
    """Return the prompts of a prompt set, a file or "held-out", with their references."""
    if name != HELD_OUT:
        return [(one.instruction, one.reference) for one in prompts_of(PromptFile(path=name, limit=limit)).kept]
    pairs = sorted((one.id, one) for one in made.records(names.SEED) if one.split == "held-out")
    return [(one.instruction, one.output) for _, one in pairs[:limit]]
