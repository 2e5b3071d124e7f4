"""The key-value cache of the rows that are sampled together: one line per row, all rows end in the same column."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SPARE = 64
"""Columns beyond the longest row. When they are used up, all rows move; attention reads every column."""


def head_size(config: Any) -> int:
    """Return the size of one head's key, by a text model's configuration."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def token_bytes(model: Any) -> int:
    """Return the number of bytes of one token's keys and values, in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * head_size(config) * model.dtype.itemsize)


@dataclass(slots=True)
class Open:
    """A row whose answer is being sampled: its first column, and its last sampled token, which is not read yet."""

    number: int
    start: int
    token: int = -1


class Place:
    """Lines of keys and values, for every layer; `cache` is what a model reads and writes."""

    def __init__(self) -> None:
        self.rows: list[Open] = []
        self.lines = 0
        self.end = 0
        self.width = 0
        self.cache: Any = None

    @property
    def full(self) -> bool:
        """Whether there is no column for another token."""
        return self.end == self.width

    def make_room(self, more: int, longest: int) -> None:
        """Move all rows to a layout with `more` further lines, and columns for a row of `longest` tokens."""
        first = min((row.start for row in self.rows), default=self.end)
        old, self.end = slice(first, self.end), max(longest, self.end - first)
        self.width, self.lines = self.end + SPARE, len(self.rows) + more
        for row in self.rows:
            row.start += self.end - old.stop
        for layer in self.cache.layers if self.cache else []:
            layer.lay(old)

    def take_in(
        self,
        layers: Sequence[Any],
        places: Sequence[tuple[int, int]],
        lengths: Sequence[int],
        numbers: Sequence[int],
        shared: int,
    ) -> list[Open]:
        """Add rows that have been read: row `numbers[i]` has `lengths[i]` tokens.

        The first `shared` of them begin each line of `layers`; the others begin at line and column `places[i]` after these.
        """
        import torch

        if self.cache is None:
            from transformers.cache_utils import Cache

            self.cache = Cache(layers=[_layer()(self, one.keys, one.values) for one in layers])
        device, longest = layers[0].keys.device, max(lengths)
        line, after, length = torch.tensor([(*place, length) for place, length in zip(places, lengths, strict=True)]).T
        # Each row's last token goes into the last column; columns before its first token are masked.
        column = (torch.arange(longest) - (longest - length[:, None])).clamp(min=0)
        column = torch.where(column < shared, column, column + after[:, None]).to(device)
        line = line[:, None].to(device)
        lines = slice(len(self.rows), len(self.rows) + len(places))
        for own, read in zip(self.cache.layers, layers, strict=True):
            own.keys[lines, :, self.end - longest : self.end] = read.keys[line, :, column].transpose(1, 2)
            own.values[lines, :, self.end - longest : self.end] = read.values[line, :, column].transpose(1, 2)
        opened = [Open(number, self.end - length) for number, length in zip(numbers, lengths, strict=True)]
        self.rows += opened
        return opened

    def let_go(self, at: int) -> None:
        """Drop a row; the last one takes its line."""
        last = self.rows.pop()
        if at < len(self.rows):
            self.rows[at] = last
            for layer in self.cache.layers:
                layer.keys[at], layer.values[at] = layer.keys[len(self.rows)], layer.values[len(self.rows)]


@lru_cache(maxsize=1)
def _layer() -> Any:
    """Return the class of a layer of the cache: a model sees all columns, and masks those beyond `end`."""
    from transformers.cache_utils import DynamicLayer

    class PlaceLayer(DynamicLayer):  # type: ignore[misc]
        def __init__(self, place: Place, keys: Any, values: Any) -> None:
            super().__init__()
            self.keys, self.values, self.is_initialized, self._place = keys[:0], values[:0], True, place
            self._memory = {"keys": keys.new_zeros(0), "values": values.new_zeros(0)}
            self.lay(slice(0, 0))

        def lay(self, old: slice) -> None:
            """Move the columns `old` to the end of all rows in a new layout.

            The memory is reused, as allocating is slow. Old values in it are finite, and masked.
            """
            rows, end = len(self._place.rows), self._place.end
            for name, memory in self._memory.items():
                kept = getattr(self, name)[:rows, :, old].clone()
                shape = (self._place.lines, kept.shape[1], self._place.width, kept.shape[3])
                needed = math.prod(shape)
                if needed > len(memory):
                    # A quarter more, so that the first move needs no allocation.
                    self._memory[name] = memory = kept.new_zeros(needed * 5 // 4)
                laid = memory[:needed].view(shape)
                laid[:rows, :, end - kept.shape[2] : end] = kept
                setattr(self, name, laid)

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            rows, end = key_states.shape[0], self._place.end
            self.keys[:rows, :, end : end + 1], self.values[:rows, :, end : end + 1] = key_states, value_states
            return self.keys[:rows], self.values[:rows]

        def get_seq_length(self) -> int:
            return self._place.end

        def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
            return self._place.width, 0

    return PlaceLayer
