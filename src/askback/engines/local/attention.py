"""Attention on a CPU by matrix products.

torch's fused attention takes three times as long with one new token per row, and twice as long on prompts, as products of
parts that stay in a core's cache. In bfloat16 the scores are rounded before the softmax, as in the library's attention
without fusion; other roundings of a model outweigh that: against float32, the embedded model's losses per token on 14
pairs differ by 0.003 (root mean square; 0.005 with the fused attention), and expected levels by 0.03 (0.03).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

NAME = "askback"
PART = 96
"""Number of queries in a part; their scores, of all heads, fit the cache."""


def use(model: Any) -> None:
    """Set this attention in `model` where it fits: on a CPU, in place of torch's fused attention."""
    if model.device.type == "cpu" and model.config._attn_implementation == "sdpa" and model._supports_attention_backend:
        _register()
        model.set_attn_implementation(NAME)


@lru_cache(maxsize=1)
def _register() -> None:
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **others: Any) -> tuple[Any, None]:
        queries, keys = query.shape[2], key.shape[2]
        # No mask means a causal one for as many queries as keys, and none for a single query; else torch decides.
        mask = _causal(queries) if attention_mask is None and queries in (1, keys) else attention_mask
        bent = any(others.get(name) is not None for name in ("softcap", "position_bias", "s_aux"))
        causal = others.get("is_causal") is not False and getattr(module, "is_causal", True)
        plain = mask is not None and mask.dtype == torch.bool and mask.shape[1] == 1 and causal
        # A query that sees no key, such as padding, must give a number.
        if module.training or bent or not plain or not mask.any(-1).all():
            theirs: tuple[Any, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **others)
            return theirs
        query = query * (others.get("scaling") or query.shape[3] ** -0.5)
        if queries == 1:
            return _one(query, key, value, mask), None
        return _many(query, key, value, _parts(mask, len(query))), None

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _one(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Attend with one query per row. Heads that share keys and values are the rows of one matrix."""
    import torch

    rows, heads, _, size = query.shape
    scores = query.view(rows, key.shape[1], -1, size) @ key.transpose(2, 3)
    shares = scores.masked_fill(~mask, -torch.inf).softmax(-1, dtype=torch.float32)
    return (shares.to(value.dtype) @ value).view(rows, 1, heads, -1)


class _Part(NamedTuple):
    """Some rows and queries of a batch: all of them see the keys before `begin`, none sees those from `end` on."""

    rows: slice
    queries: slice
    begin: int
    end: int
    hidden: Any
    """Mask of the keys from `begin` to `end` that a query does not see."""


def _many(query: Any, key: Any, value: Any, parts: Sequence[_Part]) -> Any:
    """Attend with many queries per row, part by part."""
    import torch

    rows, heads, queries, size = query.shape
    groups = key.shape[1]
    answer = torch.empty(rows, queries, heads, value.shape[3], dtype=value.dtype)
    for part in parts:
        asked = query[part.rows, :, part.queries]
        count, _, length, _ = asked.shape
        scores = asked.reshape(count, groups, -1, size) @ key[part.rows, :, : part.end].transpose(2, 3)
        scores = scores.view(count, groups, -1, length, part.end)
        scores[..., part.begin :].masked_fill_(part.hidden, -torch.inf)
        shares = scores.softmax(-1).view(count, groups, -1, part.end)
        found = (shares @ value[part.rows, :, : part.end]).view(count, heads, length, -1)
        answer[part.rows, part.queries] = found.transpose(1, 2)
    return answer


@lru_cache(maxsize=1)
def _causal(queries: int) -> Any:
    import torch

    return torch.ones(queries, queries, dtype=torch.bool).tril()[None, None]


# All layers of a pass share one mask, or alternate between two; as a cache key, a tensor equals only itself.
@lru_cache(maxsize=2)
def _parts(mask: Any, rows: int) -> list[_Part]:
    """Return the parts of a batch."""
    if mask.stride(0) == 0:
        mask = mask[:1]  # one for all rows
    queries = mask.shape[2]
    together = max(1, PART // queries)
    parts = []
    for first in range(0, queries, PART):
        for row in range(0, rows, together):
            if row == 0 or len(mask) > 1:
                seen = mask[row : row + together, :, None, first : first + PART]
                end = int(seen.flatten(0, 3).any(0).nonzero()[-1]) + 1
                some_hidden = (~seen.flatten(0, 3).all(0)[:end]).nonzero()
                begin = int(some_hidden[0]) if len(some_hidden) else end
                hidden = ~seen[..., begin:end]
            parts.append(_Part(slice(row, row + together), slice(first, first + PART), begin, end, hidden))
    return parts
