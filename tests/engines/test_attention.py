"""Attention by matrix products gives what torch's own gives, whatever the mask."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import scaled_dot_product_attention  # noqa: E402
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM  # noqa: E402

from askback.engines.local import attention  # noqa: E402

ROWS, GROUPS, HEADS, SIZE = 3, 2, 6, 16
KEYS = 260


def causal(queries: int) -> Any:
    return torch.ones(queries, KEYS, dtype=torch.bool).tril(KEYS - queries)[None, None]


def padded(queries: int) -> Any:
    """Return a mask whose rows begin at other keys, as of rows padded on the left."""
    starts = torch.tensor([0, 7, KEYS - queries])[:, None, None, None]
    return causal(queries) & (torch.arange(KEYS) >= starts)


def sliding(queries: int) -> Any:
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


def test_bfloat16_is_as_exact_as_it_can_be() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = ((HEADS, 200), (GROUPS, KEYS), (GROUPS, KEYS))
    query, key, value = (torch.randn(ROWS, heads, length, SIZE, generator=generator) for heads, length in sizes)
    exact = scaled_dot_product_attention(query, key, value, causal(200), enable_gqa=True).transpose(1, 2)
    asked, asks, tells = (part.bfloat16() for part in (query * SIZE**-0.5, key, value))
    found = attention._many(asked, asks, tells, attention._parts(causal(200), ROWS)).float()
    assert (found - exact).abs().mean() < 2**-9  # half a unit in the last place of a number near 1


@pytest.mark.parametrize("queries", [1, 4, 9])
@pytest.mark.parametrize("is_causal", [None, False])
def test_what_no_mask_means_is_left_to_torch_unless_it_is_plain(queries: int, is_causal: bool | None) -> None:
    model = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=64, num_attention_heads=4, vocab_size=9))
    attention.use(model.eval())
    module = model.model.layers[0].self_attn
    query, key, value = (torch.randn(2, 4, length, 8) for length in (queries, 9, 9))
    found, expected = (
        AttentionInterface()[name](module, query, key, value, None, scaling=0.5, is_causal=is_causal)[0]
        for name in (attention.NAME, "sdpa")
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


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
