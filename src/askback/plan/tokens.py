"""How many tokens a step reads, writes and trains on: its own prompts, put together for a sample of what it will find."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from askback import prompts
from askback.curate.scorers.trial import Noting, pair, tried
from askback.engines.usage import Tokens
from askback.plan.sample import Pairs
from askback.prompts import render
from askback.prompts.prompt import Prompt, ask
from askback.recipe import Augment, Backward, HeldOut, Score, Training
from askback.train.training_rows import schedule

CHARS_PER_TOKEN = 4.2
"""English prose under common tokenizers."""
TURN_TOKENS = 10
"""What a chat template puts around a user's turn."""
INSTRUCTION_TOKENS = 30.0


class Ruler:
    """Lengths in tokens: by a tokenizer, or, where there is none here, by characters."""

    def __init__(self, tokenizer: Any = None) -> None:
        self._tokenizer = tokenizer
        self._known: dict[Prompt, float] = {}

    def text(self, text: str) -> float:
        """Return the length of a text, cut nowhere."""
        if self._tokenizer is None:
            return len(text) / CHARS_PER_TOKEN
        return len(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return about the first `max_tokens` tokens of a text."""
        length = self.text(text)
        return text if length <= max_tokens else text[: int(len(text) * max_tokens / length)]

    def prompt(self, prompt: Prompt) -> float:
        """Return the length of a prompt as it is rendered."""
        if prompt not in self._known:
            whole = self.text(prompt.text) + self.text(prompt.answer_start) + TURN_TOKENS
            self._known[prompt] = whole if self._tokenizer is None else len(render(self._tokenizer, prompt))
        return self._known[prompt]

    def answer(self, text: str) -> float:
        """Return the length of an answer with its stop token."""
        return self.text(text) + 1


def writing(ruler: Ruler, options: Augment, segments: Pairs, seed: Pairs) -> Tokens:
    """Return what M_yx reads and writes: instructions as long as those of the seed, which it is taught with."""

    def read(text: str) -> float:
        return ruler.prompt(prompts.backward(text)) - max(0.0, ruler.text(text) - options.max_document_tokens)

    length = _mean(ruler.text(instruction) for instruction, _ in seed.sample) or INSTRUCTION_TOKENS
    count = segments.count * options.per_segment
    return Tokens(
        round(count * _mean(read(text) for _, text in segments.sample)),
        round(count * min(length, options.max_new_tokens)),
    )


def judging(ruler: Ruler, options: Score, pairs: Pairs, calls: frozenset[str]) -> Tokens:
    """Return what the scorers read and write on an engine with these calls; a reasoning is as long as it may be."""
    shown = [
        pair(str(number), instruction, ruler.truncate(output, options.max_output_tokens))
        for number, (instruction, output) in enumerate(pairs.sample)
    ]
    engine = Noting(calls)
    for name in options.scorers:
        tried(name, options, engine, shown)
    read = sum(ruler.prompt(prompt) + (ruler.answer(text) if text else 0) for prompt, text in engine.read)
    share = pairs.count / max(1, len(shown))
    return Tokens(round(share * read), round(share * engine.written))


def training(ruler: Ruler, options: Training, taught: Sequence[Pairs]) -> tuple[int, Tokens]:
    """Return how many examples a training has and how many tokens it goes over."""
    count = sum(pairs.count for pairs in taught)
    if isinstance(options, Backward):
        count += math.ceil(options.refusals * count)
    if not count:
        return 0, Tokens()
    lengths = [(pairs.count, _mean(_lengths(ruler, options, pairs))) for pairs in taught]
    length = sum(number * mean for number, mean in lengths) / sum(number for number, _ in lengths)
    batch, steps = schedule(options, count)
    return count, Tokens(train=round(steps * batch * length))


def _lengths(ruler: Ruler, options: Training, pairs: Pairs) -> list[float]:
    found = []
    for instruction, output in pairs.sample:
        if isinstance(options, Backward):
            length = ruler.prompt(prompts.backward(output)) + ruler.answer(instruction)
        elif pairs.origin == "judgement":
            length = ruler.prompt(prompts.rubric(instruction, output)) + 2
            if length > options.max_tokens:
                continue  # it is never cut, but left out
        else:
            length = ruler.prompt(prompts.forward(ask(instruction).turns, pairs.origin)) + ruler.answer(output)
        found.append(min(length, options.max_tokens))
    return found


def measuring(ruler: Ruler, options: HeldOut, seed: Pairs) -> tuple[int, Tokens]:
    """Return how many held-out pairs a loss is measured on and what is read; pairs that are too long are left out."""
    count = min(seed.held_out, options.limit or seed.held_out)
    whole = [pair for pair in seed.sample if ruler.text("\n".join(pair)) <= options.max_tokens]
    tags = ["seed", *options.tags]
    read = _mean(
        sum(ruler.prompt(prompts.forward(ask(asked).turns, tag)) + ruler.answer(output) for tag in tags)
        for asked, output in whole
    )
    return count, Tokens(round(count * len(whole) / max(1, len(seed.sample)) * read))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
