"""Attention over rows in one line gives what torch's own gives for each row alone, whatever their lengths."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import scaled_dot_product_attention  # noqa: E402
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM  # noqa: E402

from askback.engines.local import attention  # noqa: E402

GROUPS, HEADS, SIZE = 2, 6, 16
LINES = {
    "one": (200,),
    "short": (1, 30, 2, 50, 30),
    "long": (attention.PART, 260, attention.PART + 1),
    "mixed": (3, 150, 7, 90, 8, 97),
}
SHAPES = [(line, before, window) for line in LINES for before in (0, 40) for window in (None, 50)]


LAYER = SimpleNamespace(is_causal=True, num_key_value_groups=HEADS // GROUPS)
"""What attention asks of a layer."""

Given = tuple[Any, Any, Any]
"""Queries, keys and values."""


def made(line: Sequence[int], before: int) -> Given:
    generator = torch.Generator().manual_seed(sum(line))

    def some(heads: int, length: int) -> Any:
        return torch.randn(1, heads, length, SIZE, generator=generator)

    return some(HEADS, sum(line)), some(GROUPS, before + sum(line)), some(GROUPS, before + sum(line))


def changed(given: Given, change: Callable[[Any], Any]) -> Given:
    query, key, value = map(change, given)
    return query, key, value


def alone(given: Given, line: Sequence[int], before: int, window: int | None) -> Any:
    """Return torch's answers, row after row, with the prefix in front of each."""
    query, key, value = given
    answers, begin = [], 0
    for length in line:
        seen = torch.ones(length, before + length, dtype=torch.bool).tril(before)
        if window is not None:
            seen &= ~torch.ones_like(seen).tril(before - window)
        own = slice(before + begin, before + begin + length)
        keys, values = (torch.cat([one[:, :, :before], one[:, :, own]], 2) for one in (key, value))
        asked = query[:, :, begin : begin + length]
        answers.append(scaled_dot_product_attention(asked, keys, values, seen, enable_gqa=True))
        begin += length
    return torch.cat(answers, 2).transpose(1, 2)


def packed(given: Given, line: Sequence[int], window: int | None) -> Any:
    begins = torch.tensor([0, *line]).cumsum(0).int()
    others = {"cu_seq_lens_q": begins, "max_length_q": max(line), "sliding_window": window, "scaling": SIZE**-0.5}
    return attention._attend(LAYER, *given, None, **others)[0]


@pytest.mark.parametrize(("name", "before", "window"), SHAPES)
def test_rows_in_a_line_attend_as_alone(name: str, before: int, window: int | None) -> None:
    line, given = LINES[name], made(LINES[name], before)
    expected = alone(given, line, before, window)
    torch.testing.assert_close(packed(given, line, window), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "before", "window"), SHAPES)
def test_gradients_are_those_of_each_row_alone(name: str, before: int, window: int | None) -> None:
    line, given = LINES[name], made(LINES[name], before)
    found, expected = (changed(given, lambda one: one.clone().requires_grad_()) for _ in range(2))
    for answer in (packed(found, line, window), alone(expected, line, before, window)):
        torch.autograd.backward((answer * torch.arange(answer.numel()).view_as(answer).cos()).sum())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-4)


def kernel(query: Any, key: Any, value: Any, begins: Any, ends: Any, longest: int, most: int, **given: Any) -> Any:
    """Do what `torch.nn.attention.varlen.varlen_attn` says that it does; it needs a card."""
    answers, (left, right) = [], given["window_size"]
    assert (longest, most) == (begins.diff().max(), ends.diff().max()) and right == 0 and given["enable_gqa"]
    for row in range(len(begins) - 1):
        asked = query[begins[row] : begins[row + 1]].transpose(0, 1)
        keys, values = (one[ends[row] : ends[row + 1]].transpose(0, 1) for one in (key, value))
        over = keys.shape[1] - asked.shape[1]
        seen = torch.ones(asked.shape[1], keys.shape[1], dtype=torch.bool).tril(over)
        if left >= 0:
            seen &= ~torch.ones_like(seen).tril(over - left - 1)
        found = scaled_dot_product_attention(asked, keys, values, seen, scale=given["scale"], enable_gqa=True)
        answers.append(found.transpose(0, 1))
    return torch.cat(answers)


@pytest.mark.parametrize(("name", "before", "window"), SHAPES)
def test_a_kernel_for_rows_of_any_length_is_given_each_row(name: str, before: int, window: int | None) -> None:
    line, given = LINES[name], made(LINES[name], before)
    others = {"max_length_q": max(line), "sliding_window": window, "scaling": SIZE**-0.5}
    found = attention._by_kernel(kernel, *given, torch.tensor([0, *line]).cumsum(0), others)
    torch.testing.assert_close(found, alone(given, line, before, window), atol=1e-5, rtol=1e-5)


def test_torchs_own_kernel_has_the_arguments_that_it_is_given() -> None:
    pytest.importorskip("torch.nn.attention.varlen")
    assert attention._kernel() is not None


def test_bfloat16_is_as_exact_as_it_can_be() -> None:
    given = made((200,), 60)
    exact = alone(given, (200,), 60, None)
    found = packed(changed(given, lambda one: one.bfloat16()), (200,), None).float()
    assert (found - exact).abs().mean() < 2**-9  # half a unit in the last place of a number near 1


@pytest.mark.parametrize("queries", [1, 4, 9])
@pytest.mark.parametrize("is_causal", [None, False])
def test_what_no_mask_means_is_left_to_torch_unless_it_is_plain(queries: int, is_causal: bool | None) -> None:
    query, key, value = (torch.randn(2, heads, length, 8) for heads, length in ((6, queries), (2, 9), (2, 9)))
    attention._register()
    found, expected = (
        AttentionInterface()[name](LAYER, query, key, value, None, scaling=0.5, is_causal=is_causal)[0]
        for name in (attention.NAME, "sdpa")
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_one_new_token_attends_to_what_its_mask_shows() -> None:
    query, key, value = (torch.randn(3, heads, length, SIZE) for heads, length in ((6, 1), (2, 80), (2, 80)))
    mask = (torch.arange(80) >= torch.tensor([0, 7, 79])[:, None])[:, None, None]
    expected = scaled_dot_product_attention(query, key, value, mask, enable_gqa=True).transpose(1, 2)
    found, _ = attention._attend(LAYER, query, key, value, mask)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    found, _ = attention._attend(LAYER, query, key, value, None)
    expected = scaled_dot_product_attention(query, key, value, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_no_key_is_read_that_nobody_sees() -> None:
    parts = attention._parts((200, 40, 50, 30), 60, None)
    assert [(part.queries.start, part.queries.stop, part.first) for part in parts] == [
        *((0, 96, 0), (96, 192, 0), (192, 200, 0)),
        *((200, 290, 200), (290, 320, 290)),
    ]
    # Of what is read, all queries of a part see the prefix, their row's first token and what the part's first query does.
    assert [part.begin for part in parts] == [61, 157, 253, 60, 61]
    assert [part.first for part in attention._parts((200,), 60, 50)] == [0, 96 - 49, 192 - 49]


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
    for rows in (2, 5, 1):  # the parts of a length are kept for the next batch, whatever its rows
        ids = torch.randint(0, 50, (rows, 150))
        for mask in (None, (torch.arange(150) >= torch.arange(rows)[:, None] * 3).long()):
            with torch.inference_mode():
                found, expected = (model(ids, attention_mask=mask).logits[:, -1] for model in (own, plain))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
