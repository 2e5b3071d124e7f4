"""Attention over rows that lie one after another in one line, without padding between them, and apart from each other.

Where rows begin is ``cu_seq_lens_q``, the argument of transformers' own flash attention. Keys before those of the queries
belong to a prefix that all rows share. A CUDA device reads a line with torch's kernel for rows of any length.

On a CPU, attention is matrix products where no gradients are wanted. torch's fused attention takes three times as long
with one new token per row, and twice as long on prompts, as products of parts that stay in a core's cache. In bfloat16 the
scores are rounded before the softmax, as in the library's attention without fusion; other roundings of a model outweigh
that: against float32, the embedded model's losses per token on 14 pairs differ by 0.003 (root mean square; 0.005 with the
fused attention), and expected levels by 0.03 (0.03).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

NAME = "askback"
PART = 96
"""Number of queries in a part; their scores, of all heads, fit the cache."""


def use(model: Any) -> None:
    """Set this attention in `model` where it fits: in place of torch's fused attention."""
    if model.config._attn_implementation == "sdpa" and model._supports_attention_backend:
        _register()
        model.set_attn_implementation(NAME)


@lru_cache(maxsize=1)
def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _attend(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, cu_seq_lens_q: Any = None, **others: Any
) -> tuple[Any, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    bent = any(others.get(name) is not None for name in ("softcap", "position_bias", "s_aux"))
    if cu_seq_lens_q is not None:
        assert not bent, "such attention is not packed"
        return _packed(module, query, key, value, cu_seq_lens_q, others), None
    causal = others.get("is_causal") is not False and getattr(module, "is_causal", True) and not bent
    if causal and _products(query, key, value, others):
        queries = query.shape[2]
        if attention_mask is None and queries == key.shape[2]:
            parts = _parts((queries,), 0, others.get("sliding_window"))
            return _many(_scaled(query, others), key, value, parts), None
        if queries == 1 and _plain(attention_mask):
            return _one(_scaled(query, others), key, value, attention_mask), None
    theirs: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    return theirs


def _plain(mask: Any) -> bool:
    """Tell whether a mask hides keys, the same for all heads, and none shows nothing, as it would of padding."""
    import torch

    return mask is None or bool(mask.dtype == torch.bool and mask.shape[1] == 1 and mask.any(-1).all())


def _products(query: Any, key: Any, value: Any, others: dict[str, Any]) -> bool:
    """Tell whether matrix products are the way: on a CPU, without gradients and dropout."""
    learnt = any(one.requires_grad for one in (query, key, value)) or others.get("dropout")
    return query.device.type == "cpu" and not learnt


def _scaled(query: Any, others: dict[str, Any]) -> Any:
    return query * (others.get("scaling") or query.shape[3] ** -0.5)


def _packed(module: Any, query: Any, key: Any, value: Any, begins: Any, others: dict[str, Any]) -> Any:
    """Attend over the rows of a line: `begins` has the place of each row's first token, and the line's length."""
    before, window = key.shape[2] - query.shape[2], others.get("sliding_window")
    if _products(query, key, value, others):
        return _many(_scaled(query, others), key, value, _parts(_lengths(begins), before, window))
    if _known(query, value) and not others.get("dropout") and (kernel := _kernel()):
        return _by_kernel(kernel, query, key, value, begins, others)
    return _row_by_row(module, query, key, value, _lengths(begins), others)


def _known(query: Any, value: Any) -> bool:
    """Tell whether flash attention knows the card, from Ampere on, the numbers' form and the size of heads."""
    import torch

    size = query.shape[3]
    return bool(
        query.is_cuda
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
        and value.element_size() == 2
        and size % 8 == 0
        and size <= 256
    )


def _lengths(begins: Any) -> tuple[int, ...]:
    return tuple(begins.diff().tolist())


@lru_cache(maxsize=1)
def _kernel() -> Any:
    """Return torch's attention over rows of any length, or None where it has none that knows groups of heads."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn if {"scale", "window_size", "enable_gqa"} <= signature(varlen_attn).parameters.keys() else None


def _by_kernel(kernel: Any, query: Any, key: Any, value: Any, begins: Any, others: dict[str, Any]) -> Any:
    """Attend with the kernel, which takes the keys of each row in one piece: a shared prefix is copied to every row."""
    import torch

    begins = begins.to(query.device, torch.int32)
    asked, keys, values = (one[0].transpose(0, 1).to(value.dtype) for one in (query, key, value))
    longest, before, ends = others["max_length_q"], key.shape[2] - query.shape[2], begins
    if before:
        ends = begins + before * torch.arange(len(begins), device=begins.device, dtype=begins.dtype)
        row = torch.repeat_interleave(torch.arange(len(begins) - 1, device=begins.device), ends.diff())
        place = torch.arange(len(row), device=row.device) - ends[row]
        index = torch.where(place < before, place, place + begins[row])
        keys, values = keys[index], values[index]
    window = others.get("sliding_window")
    answer = kernel(
        *(asked, keys, values, begins, ends, longest, longest + before),
        scale=others.get("scaling"),
        window_size=(window - 1 if window else -1, 0),
        enable_gqa=asked.shape[1] != keys.shape[1],
    )
    return answer.unsqueeze(0)


def _row_by_row(module: Any, query: Any, key: Any, value: Any, lengths: Sequence[int], others: dict[str, Any]) -> Any:
    """Attend with torch's fused attention, which knows no rows; gradients flow."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    before, window, begin, answers = key.shape[2] - query.shape[2], others.get("sliding_window"), 0, []
    for length in lengths:
        keys, values = (_of_row(one, before, begin, begin + length) for one in (key, value))
        plain = not before and (window is None or length <= window)
        mask = None if plain else ~_hidden((length,), before, window, slice(0, length))[None, None].to(query.device)
        asked = query[:, :, begin : begin + length]
        answers.append(sdpa_attention_forward(module, asked, keys, values, mask, **others)[0])
        begin += length
    return torch.cat(answers, 1)


def _of_row(given: Any, before: int, begin: int, end: int) -> Any:
    """Return the keys or values of a prefix, and those from `begin` to `end` after it."""
    import torch

    if not before or not begin:
        return given[:, :, begin : before + end]
    return torch.cat([given[:, :, :before], given[:, :, before + begin : before + end]], 2)


def _one(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Attend with one query per row. Heads that share keys and values are the rows of one matrix."""
    import torch

    rows, heads, _, size = query.shape
    scores = query.view(rows, key.shape[1], -1, size) @ key.transpose(2, 3)
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    shares = scores.softmax(-1, dtype=torch.float32)
    return (shares.to(value.dtype) @ value).view(rows, 1, heads, -1)


class _Part(NamedTuple):
    """Some queries of a line, which attend to the shared prefix and to nothing before the token `first`."""

    queries: slice
    first: int
    begin: int
    hidden: Any
    """Mask of the keys that a query does not see, from number `begin` on; before it, all queries see all."""


def _many(query: Any, key: Any, value: Any, parts: Sequence[_Part]) -> Any:
    """Attend with many queries, part by part; every line of a batch has the same parts."""
    import torch

    lines, heads, queries, size = query.shape
    before, groups = key.shape[2] - queries, key.shape[1]
    answer = torch.empty(lines, queries, heads, value.shape[3], dtype=value.dtype)
    for line in range(lines):
        for part in parts:
            asked = query[line : line + 1, :, part.queries]
            keys, values = (
                _of_row(one[line : line + 1], before, part.first, part.queries.stop) for one in (key, value)
            )
            scores = asked.reshape(1, groups, -1, size) @ keys.transpose(2, 3)
            seen = scores.shape[3]
            scores = scores.view(1, groups, -1, asked.shape[2], seen)
            scores[..., part.begin :].masked_fill_(part.hidden, -torch.inf)
            shares = scores.softmax(-1).view(1, groups, -1, seen)
            found = (shares @ values).view(heads, asked.shape[2], -1)
            answer[line, part.queries] = found.transpose(0, 1)
    return answer


# All layers of a pass share the parts of a line, or alternate between two.
@lru_cache(maxsize=2)
def _parts(lengths: tuple[int, ...], before: int, window: int | None) -> list[_Part]:
    """Return the parts of a line of rows: pieces of long rows, and short rows together."""
    import torch

    begins = [sum(lengths[:at]) for at in range(len(lengths))]
    parts = []
    for queries in _cut(lengths):
        first = max(begin for begin in begins if begin <= queries.start)
        if window is not None:
            first = max(first, queries.start - window + 1)
        hidden = _hidden(lengths, before, window, queries)
        hidden = torch.cat([hidden[:, :before], hidden[:, before + first : before + queries.stop]], 1)
        some = hidden.any(0).nonzero()
        begin = int(some[0]) if len(some) else hidden.shape[1]
        parts.append(_Part(queries, first, begin, hidden[:, begin:]))
    return parts


def _cut(lengths: Sequence[int]) -> Iterator[slice]:
    begin = end = 0
    for length in lengths:
        if begin < end and end - begin + length > PART:
            yield slice(begin, end)
            begin = end
        end += length
        if length > PART:
            yield from (slice(at, min(at + PART, end)) for at in range(begin, end, PART))
            begin = end
    if begin < end:
        yield slice(begin, end)


def _hidden(lengths: Sequence[int], before: int, window: int | None, queries: slice) -> Any:
    """Return which keys, of the prefix and then of the line, these queries do not see."""
    import torch

    sizes = torch.tensor(lengths)
    row = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    place = before + torch.arange(len(row)) - (sizes.cumsum(0) - sizes)[row]
    rows = torch.cat([torch.full((before,), -1), row])
    places = torch.cat([torch.arange(before), place])
    of, at = row[queries, None], place[queries, None]
    seen = ((rows == of) | (rows == -1)) & (places <= at)
    return ~(seen if window is None else seen & (places > at - window))
