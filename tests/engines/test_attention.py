"""Attention by matrix products gives what torch's own gives, whatever the mask."""

from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import LlamaConfig, LlamaForCausalLM

from askback.engines import attention

ROWS, GROUPS, HEADS, SIZE = 3, 2, 6, 16
KEYS = 260


def causal(queries: int) -> torch.Tensor:
    return torch.ones(queries, KEYS, dtype=torch.bool).tril(KEYS - queries)[None, None]


def padded(queries: int) -> torch.Tensor:
    """Return a mask whose rows begin at other keys, as of rows padded on the left."""
    starts = torch.tensor([0, 7, KEYS - queries])[:, None, None, None]
    return causal(queries) & (torch.arange(KEYS) >= starts)


def sliding(queries: int) -> torch.Tensor:
    return causal(queries) & ~torch.ones(queries, KEYS, dtype=torch.bool).tril(KEYS - queries - 50)[None, None]


@pytest.mark.parametrize("mask", [causal, padded, sliding])
@pytest.mark.parametrize("queries", [1, 20, attention.PART, 200])
def test_the_same_as_torch(mask: Any, queries: int) -> None:
    generator = torch.Generator().manual_seed(queries)
    query, key, value = (
        torch.randn(ROWS, heads, length, SIZE, generator=generator)
        for heads, length in ((HEADS, queries), (GROUPS, KEYS), (GROUPS, KEYS))
    )
    seen = mask(queries)
    expected = scaled_dot_product_attention(query, key, value, seen, enable_gqa=True).transpose(1, 2)
    parts = attention._parts(seen, ROWS)
    assert sum(part.rows.start == 0 for part in parts) == -(-queries // attention.PART)
    asked = query * SIZE**-0.5
    torch.testing.assert_close(attention._many(asked, key, value, parts), expected, atol=1e-5, rtol=1e-5)
    if queries == 1:
        torch.testing.assert_close(attention._one(asked, key, value, seen), expected, atol=1e-5, rtol=1e-5)


def test_no_key_is_read_that_nobody_sees() -> None:
    ends = [part.end for part in attention._parts(causal(200), 1)]
    assert ends == [KEYS - 200 + attention.PART, KEYS - 200 + 2 * attention.PART, KEYS]
    assert [part.begin for part in attention._parts(causal(200), 1)] == [
        61,
        61 + attention.PART,
        61 + 2 * attention.PART,
    ]


def test_a_model_attends_alike_with_other_rows_and_with_padding() -> None:
    size: dict[str, Any] = {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 50,
    }
    torch.manual_seed(0)
    plain, own = (LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=64, **size)).eval() for _ in range(2))
    own.load_state_dict(plain.state_dict())
    attention.use(own)
    assert (plain.config._attn_implementation, own.config._attn_implementation) == ("sdpa", attention.NAME)
    for rows in (2, 5, 1):  # the mask of a shape is kept for the next batch, whatever its rows
        ids = torch.randint(0, 50, (rows, 150))
        for mask in (None, (torch.arange(150) >= torch.arange(rows)[:, None] * 3).long()):
            with torch.inference_mode():
                found, expected = (model(ids, attention_mask=mask).logits[:, -1] for model in (own, plain))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
