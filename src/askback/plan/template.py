"""The recipe's own pairs through the base model's chat template, to show before a run what a training would leave out."""

from collections.abc import Iterator
from typing import Any

from askback import prompts
from askback.errors import InputError
from askback.plan.sample import Pairs
from askback.prompts.prompt import Prompt, ask
from askback.recipe import Backward, Training

LEVELS = range(1, 6)


def try_pairs(tokenizer: Any, template: str, options: Training, taught: list[Pairs]) -> None:
    """Render what a training and its judge see of a sample of its pairs.

    Args:
        template: where the chat template is from.
        taught: the training's inputs: pairs of the seed and of the corpus, and lessons of a judge.

    Raises:
        InputError: the template renders a prompt or an answer otherwise than it is.
    """
    for prompt, answer in _exchanges(options, taught):
        if prompts.rewrites(tokenizer, prompt, answer):
            raise InputError(
                f"{template}: the chat template rewrites this answer of the recipe: {' '.join(answer.split())[:80]!r}; "
                "give another with chat_template:"
            )


def _exchanges(options: Training, taught: list[Pairs]) -> Iterator[tuple[Prompt, str]]:
    for pairs in taught:
        for at, (instruction, output) in enumerate(pairs.sample):
            if isinstance(options, Backward):
                yield prompts.backward(output), instruction
                continue
            yield prompts.rubric(instruction, output), f" {LEVELS[at % len(LEVELS)]}"
            if pairs.origin != "judgement":
                yield prompts.forward(ask(instruction).turns, pairs.origin), output
