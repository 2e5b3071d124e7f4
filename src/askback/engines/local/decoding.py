"""Sampling many answers at once, where the cost of a row ends with its own answer.

transformers' `generate` computes every row of a batch until the longest answer is done, and copies all keys and values at
every token. Here they stay in place (kv_cache.py); a finished row leaves at once, and when enough have left, the next
prompts are read. The library's continuous batching does that too, but samples a whole batch from one stream of random
numbers, so that an answer depends on its neighbours, and on a CPU each token attends over the masked tokens of all rows.
"""

from collections.abc import Callable, Sequence
from typing import Any

from askback.engines.batching import batches, common_prefix
from askback.engines.local.kv_cache import Open, Place
from askback.engines.local.lines import lay, to

Choose = Callable[[Any, list[int], list[int]], list[int]]
"""(logits, row numbers, number of tokens sampled in each row) → the next token of each row."""


class Drawing:
    """The answers to `rows`, sampled with `model`.

    Args:
        model: a causal model of transformers whose layers keep keys and values of single tokens only.
        rows: prompts.
        choose: returns the next token of each row.
        most: largest number of tokens of an answer.
        stops: tokens that end an answer.
        read: number of tokens in one pass over prompts.
        room: largest product of the number of rows sampled together and the longest of them, with its answer.
        packed: whether prompts are read in one line (`lines.can_pack`).
    """

    def __init__(
        self,
        model: Any,
        rows: Sequence[list[int]],
        choose: Choose,
        most: int,
        stops: Sequence[int],
        read: int,
        room: int,
        packed: bool,
    ) -> None:
        self._model, self._rows, self._choose = model, rows, choose
        self._most, self._stops, self._read, self._room = most, stops, read, room
        self._answers: list[list[int]] = [[] for _ in rows]
        # Taken from the end: the longest first, and prompts that are the same together, so that they are read once.
        self._waiting = sorted(range(len(rows)), key=lambda number: (len(rows[number]), rows[number]))
        # The last token of a row is no part of the prefix, as its logits are wanted.
        self._shared = min(common_prefix(rows), len(rows[self._waiting[0]]) - 1) if len(rows) > 1 else 0
        self._packed = packed
        self._place = Place()

    def run(self) -> list[list[int]]:
        """Return each row's answer, which ends with a stop token unless it was cut."""
        import torch

        with torch.inference_mode():
            prefix = self._pass([self._rows[0][: self._shared]], [])[1] if self._shared else []
            while self._waiting or self._place.rows:
                if fitting := self._fitting():
                    self._start([self._waiting.pop() for _ in range(fitting)], prefix)
                else:
                    self._step()
                for at in reversed(range(len(self._place.rows))):
                    answer = self._answers[self._place.rows[at].number]
                    if len(answer) == self._most or answer[-1] in self._stops:
                        self._place.let_go(at)
        return self._answers

    def _fitting(self) -> int:
        """Return the number of waiting rows to read now: 0 until a quarter of the room is free."""
        if not self._waiting:
            return 0
        numbers = [self._waiting[-1], *(row.number for row in self._place.rows)]
        at_once = max(1, self._room // (max(len(self._rows[number]) for number in numbers) + self._most))
        free = min(at_once - len(self._place.rows), len(self._waiting))
        return free if free >= min(len(self._waiting), max(1, at_once // 4)) else 0

    def _start(self, numbers: list[int], prefix: list[Any]) -> None:
        """Read the prompts of these rows, equal ones once, and sample the first token of each row."""
        self._place.make_room(len(numbers), len(self._rows[numbers[0]]))
        asking: dict[tuple[int, ...], list[int]] = {}
        for number in numbers:
            asking.setdefault(tuple(self._rows[number]), []).append(number)
        prompts = list(asking)
        for batch in batches([len(prompt) - self._shared for prompt in prompts], self._read, self._packed):
            read = [prompts[at] for at in batch]
            logits, layers, places = self._pass([prompt[self._shared :] for prompt in read], prefix)
            copies = [at for at, prompt in enumerate(read) for _ in asking[prompt]]
            lengths, asked = [len(read[at]) for at in copies], [row for prompt in read for row in asking[prompt]]
            opened = self._place.take_in(layers, [places[at] for at in copies], lengths, asked, self._shared)
            self._draw(logits[copies], opened)

    def _pass(self, rows: Sequence[Sequence[int]], prefix: list[Any]) -> tuple[Any, list[Any], list[tuple[int, int]]]:
        """Read rows after the prefix; return the logits after each, layers of keys and values, and the rows' places."""
        import torch
        from transformers import DynamicCache

        laid = lay(rows, self._packed, self._stops[0], prefix[0].keys.shape[2] if prefix else 0)
        last = torch.zeros_like(laid.ids, dtype=torch.bool)
        for row, (line, column) in zip(rows, laid.places, strict=True):
            last[line, column + len(row) - 1] = True
        ids, places, rest = to(laid, self._model.device)
        cache = DynamicCache()
        for at, layer in enumerate(prefix):
            cache.update(layer.keys.expand(len(ids), -1, -1, -1), layer.values.expand(len(ids), -1, -1, -1), at)
        logits = self._model(ids, cache=cache, use_cache=True, logits_to_keep=last.to(ids.device), **rest).logits
        return logits, cache.layers, places

    def _step(self) -> None:
        """Sample one more token for every row."""
        import torch

        place, device = self._place, self._model.device
        if place.full:
            place.make_room(0, 0)
        starts = torch.tensor([[row.start] for row in place.rows], device=device)
        columns = torch.arange(place.width, device=device)
        logits = self._model(
            torch.tensor([[row.token] for row in place.rows], device=device),
            attention_mask=((columns >= starts) & (columns <= place.end)).long(),
            position_ids=place.end - starts,
            cache=place.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        place.end += 1
        self._draw(logits[:, 0], place.rows)

    def _draw(self, logits: Any, rows: Sequence[Open]) -> None:
        drawn = [len(self._answers[row.number]) for row in rows]
        for row, token in zip(rows, self._choose(logits, [row.number for row in rows], drawn), strict=True):
            row.token = token
            self._answers[row.number].append(token)
