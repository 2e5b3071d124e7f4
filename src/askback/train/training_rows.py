"""The data of a training: number of steps, examples as tokens, rows in batches. Pure, and without torch."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any, Literal, NamedTuple

from askback import prompts
from askback.prompts.prompt import Prompt
from askback.recipe import Training
from askback.records import Example, Lesson, record_id

Direction = Literal["backward", "forward", "rewrite"]
Taught = Example | Lesson

PAPER_STEPS = (
    (100, 8, 30),
    (800, 8, 300),
    (1600, 8, 600),
    (3200, 32, 500),
    (6400, 32, 600),
    (12800, 32, 600),
    (25600, 32, 1200),
    (51200, 32, 1600),
)
"""(examples, batch, steps) of the paper's data-scaling runs (method.md 1.5)."""

WINDOW = 8
"""Number of batches whose rows are sorted by length together: more means less padding, but less random batches."""


class Row(NamedTuple):
    """A conversation as token ids, with a mask of those that are `learnt` (have a label).

    `truncated`: it was cut to fit. `judgement`: it teaches a rating. `added`: it is one of M_t that M_0 has not.
    """

    id: str
    ids: list[int]
    learnt: list[bool]
    truncated: bool
    judgement: bool = False
    added: bool = False

    @property
    def tokens(self) -> int:
        """Number of tokens of the row."""
        return len(self.ids)


def is_added(example: Taught) -> bool:
    """Tell whether an example is one that M_t learns from and M_0 does not: a pair that was chosen."""
    return isinstance(example, Example) and example.origin == "augmented"


def row_of(id: str, exchanges: Iterable[prompts.Exchange], truncated: bool, judgement: bool = False) -> Row:
    """Return exchanges as a row in which the answers are learnt."""
    ids, learnt = list[int](), list[bool]()
    for asked, answer in exchanges:
        ids += asked + answer
        learnt += [False] * len(asked) + [True] * len(answer)
    return Row(id, ids, learnt, truncated, judgement)


def batch_size_for(examples: int) -> int:
    """Return the paper's batch: 32, or 8 under 3,000 examples (method.md 1.5)."""
    return 8 if examples < 3000 else 32


def steps_for(examples: int, batch_size: int) -> int:
    """Return optimiser steps by the paper's table (method.md 1.5), exactly at its rows.

    Between two rows the number of epochs is linear in the logarithm of the number of examples; beyond the ends it is that
    of the end row (2.4 below 100 examples, 1 above 51,200).
    """
    return max(1, round(_epochs(examples) * examples / batch_size))


class Schedule(NamedTuple):
    """Examples of a batch, optimiser steps, and how many added examples come on top of each batch."""

    batch_size: int
    steps: int
    on_top: int = 0

    @property
    def rows(self) -> int:
        """Number of examples of a batch, those on top included."""
        return self.batch_size + self.on_top


def schedule(options: Training, examples: int, added: int = 0, processes: int = 1) -> Schedule:
    """Return the recipe's batch size and steps, or else the paper's for this number of examples.

    With ``exposure: equal``, both are those of a training without the `added` ones among the examples, which come on top:
    enough of them in each batch that one is seen about as often as any other, one at least, and a multiple of what the
    `processes` that share a batch take at once where ``trl`` gives that.
    """
    kept = examples - added
    if options.exposure == "paper" or not kept or not added:
        batch_size = options.batch_size or batch_size_for(examples)
        return Schedule(batch_size, options.steps or steps_for(examples, batch_size))
    batch_size = options.batch_size or batch_size_for(kept)
    given = options.trl.get("per_device_train_batch_size", 1)
    share = processes * (given if isinstance(given, int) and given > 0 else 1)
    on_top = share * max(1, round(batch_size * added / kept / share))
    return Schedule(batch_size, options.steps or steps_for(kept, batch_size), on_top)


def _epochs(examples: int) -> float:
    table = [(count, batch * steps / count) for count, batch, steps in PAPER_STEPS]
    if examples <= table[0][0]:
        return table[0][1]
    for (below, left), (above, right) in pairwise(table):
        if examples <= above:
            return left + (right - left) * math.log(examples / below) / math.log(above / below)
    return table[-1][1]


def tokenize(tokenizer: Any, example: Taught, direction: Direction, max_tokens: int) -> Row | None:
    """Return an example's tokens in one direction, at most `max_tokens`; None if no label would fit.

    Forward, instruction → output: a conversation that is too long loses whole exchanges from its end; where the first alone
    is too long, its output loses its end, with the stop token. Backward, output → instruction, of the last exchange alone:
    the instruction stays whole, and an output that is too long loses its end inside the prompt. A lesson is never cut, as
    lessons teach to recognise cut text; nor is a triple, whose answer might rest on what is lost (rewrite: text and
    instruction → output).

    Raises:
        InputError: the chat template is not fit for training (`prompts.render_pair`).
    """
    if isinstance(example, Lesson):
        assert direction == "forward", "the backward model does not judge"
        return _lesson(tokenizer, example, max_tokens)
    if direction == "rewrite":
        return _triple(tokenizer, example, max_tokens)
    cut = _backward if direction == "backward" else _forward
    return cut(tokenizer, example, max_tokens)


def rewritten(tokenizer: Any, example: Taught, direction: Direction) -> bool:
    """Return whether the chat template alters an example (`prompts.rewrites`)."""
    if direction == "backward":
        return prompts.rewrites(tokenizer, prompts.backward(example.output), example.instruction)
    if isinstance(example, Lesson):
        return prompts.rewrites(tokenizer, prompts.rubric(example.instruction, example.output), f" {example.score:.0f}")
    asked = prompts.answering(example.instruction, example.original) if direction == "rewrite" else _asked(example)
    return prompts.rewrites(tokenizer, asked, example.output)


def _asked(example: Example) -> Prompt:
    return prompts.forward(example.messages[:-1], example.origin, example.quality)


def _forward(tokenizer: Any, example: Example, max_tokens: int) -> Row | None:
    exchanges = prompts.render_exchanges(tokenizer, _asked(example), example.output)
    (asked, answer), *later = exchanges
    room = max_tokens - len(asked)
    if room <= 0:
        return None
    kept, room = [(asked, answer[:room])], room - len(answer)
    for exchange in later:
        room -= sum(map(len, exchange))
        if room < 0:
            break
        kept.append(exchange)
    return row_of(example.id, kept, room < 0)


def _lesson(tokenizer: Any, example: Lesson, max_tokens: int) -> Row | None:
    """Return the scorer's prompt of the rubric, with the digit and the stop token to learn."""
    asked = prompts.rubric(example.instruction, example.output)
    exchanges = prompts.render_exchanges(tokenizer, asked, f" {example.score:.0f}")
    row = row_of(example.id, exchanges, truncated=False, judgement=True)
    return row if row.tokens <= max_tokens else None


def _triple(tokenizer: Any, example: Example, max_tokens: int) -> Row | None:
    """Return the rewriter's prompt, with the answer to learn."""
    asked = prompts.answering(example.instruction, example.original)
    row = row_of(example.id, prompts.render_exchanges(tokenizer, asked, example.output), truncated=False)
    return row if row.tokens <= max_tokens else None


def _backward(tokenizer: Any, example: Example, max_tokens: int) -> Row | None:
    def show(characters: int) -> Row | None:
        asked = prompts.backward(example.output[:characters])
        exchanges = prompts.render_exchanges(tokenizer, asked, example.instruction)
        row = row_of(example.id, exchanges, characters < len(example.output))
        return row if row.tokens <= max_tokens else None

    row = show(len(example.output))
    fits, over = (len(example.output) if row else 0), len(example.output)
    while over - fits > 1:
        middle = (fits + over) // 2
        if found := show(middle):
            row, fits = found, middle
        else:
            over = middle
    return row


def arrange(rows: Sequence[Row], steps: int, batch_size: int, seed: int, on_top: int = 0) -> list[list[int]]:
    """Return the rows of each step, shortest first: a pure function of the seed and of ids and lengths.

    Every epoch is shuffled anew, and the next begins where it ends, so that all batches are full. Within windows of
    `WINDOW` batches of one epoch, judgements have batches of their own, as the loss of one digit is negligible among
    hundreds of tokens, and rows of similar length share a batch; then the batches of a window are shuffled.

    Args:
        on_top: number of `added` rows that are put on top of each batch of the others, which is as it would be without
            them; 0 makes no difference between rows.
    """
    if not on_top:
        return _batches(rows, range(len(rows)), steps, batch_size, seed)
    first = _batches(rows, [at for at, row in enumerate(rows) if not row.added], steps, batch_size, seed)
    added = _stream(rows, [at for at, row in enumerate(rows) if row.added], steps * on_top, seed)
    together = (batch + added[step * on_top : (step + 1) * on_top] for step, batch in enumerate(first))
    return [sorted(batch, key=lambda index: rows[index].tokens) for batch in together]


def _batches(rows: Sequence[Row], members: Sequence[int], steps: int, batch_size: int, seed: int) -> list[list[int]]:
    stream = _stream(rows, members, steps * batch_size, seed)

    def window(step: int) -> tuple[int, int, int]:
        # A batch across the border of two epochs is a window of its own, so that no batch collects copies of one row.
        first, last = step * batch_size, (step + 1) * batch_size - 1
        return first // len(members), last // len(members), step // WINDOW

    batches: list[list[int]] = []
    for _, group in groupby(range(steps), key=window):
        together = list(group)
        inside = stream[together[0] * batch_size : (together[-1] + 1) * batch_size]
        inside.sort(key=lambda index: (rows[index].judgement, rows[index].tokens))
        cut = [inside[at : at + batch_size] for at in range(0, len(inside), batch_size)]
        cut = [sorted(batch, key=lambda index: rows[index].tokens) for batch in cut]
        batches += sorted(cut, key=lambda batch: record_id(str(seed), *(rows[index].id for index in batch)))
    return batches


def _stream(rows: Sequence[Row], members: Sequence[int], length: int, seed: int) -> list[int]:
    """Return epoch after epoch of the members, each shuffled anew, `length` of them."""

    def shuffled(epoch: int) -> list[int]:
        return sorted(members, key=lambda index: record_id(str(seed), str(epoch), rows[index].id))

    return [index for epoch in range(-(-length // len(members))) for index in shuffled(epoch)][:length]


def micro_batch_for(lengths: Sequence[Sequence[int]], max_tokens: int, processes: int = 1, packed: bool = False) -> int:
    """Return the largest micro-batch that never holds more than `max_tokens`, padded or `packed`, or 1.

    It divides what each of `processes` takes of a batch. `lengths` are the row lengths of each batch, shortest first.
    """
    batch_size = len(lengths[0])
    for size in range(batch_size // processes, 1, -1):
        if batch_size % (size * processes) == 0:
            passes = _passes(lengths, size)
            if max(sum(one) if packed else len(one) * max(one) for one in passes) <= max_tokens:
                return size
    return 1


def padding_of(lengths: Sequence[Sequence[int]], micro_batch: int) -> int:
    """Return the number of tokens by which the rows of all micro-batches are padded."""
    return sum(len(one) * max(one) - sum(one) for one in _passes(lengths, micro_batch))


def _passes(lengths: Sequence[Sequence[int]], size: int) -> list[Sequence[int]]:
    return [batch[at : at + size] for batch in lengths for at in range(0, len(batch), size)]
