"""Batches and shared prefixes, over anything hypothesis can think of."""

from hypothesis import given
from hypothesis import strategies as st

from askback.engines.batching import Row, batches, common_prefix, continuation, shared_prefix

TOKENS = st.lists(st.integers(0, 3), max_size=8)


@given(st.lists(st.integers(1, 50)), st.integers(1, 120), st.booleans())
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int, packed: bool) -> None:
    groups = batches(lengths, budget, packed)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        sizes = [lengths[row] for row in group]
        assert len(group) == 1 or (sum(sizes) if packed else len(group) * max(sizes)) <= budget
    longest = [lengths[group[0]] for group in groups]
    assert longest == sorted(longest, reverse=True)


def test_batches_are_filled() -> None:
    assert batches([5, 1, 5, 4], 10) == [[0, 2], [3, 1]]
    assert batches([5, 1, 4, 4, 2], 10, packed=True) == [[0, 2], [3, 4, 1]]


@given(st.lists(TOKENS, min_size=1))
def test_common_prefix_is_what_all_begin_with_and_no_shorter(rows: list[list[int]]) -> None:
    length = common_prefix(rows)
    assert all(row[:length] == rows[0][:length] for row in rows)
    assert any(len(row) == length for row in rows) or len({row[length] for row in rows}) > 1


def test_what_is_wanted_is_never_read_with_the_prefix() -> None:
    row = continuation([7, 8, 9], [1, 2])
    assert row == Row([7, 8, 9, 1], [(2, 1), (3, 2)])
    assert shared_prefix([row, row]) == 2
    assert shared_prefix([row]) == 0
    assert shared_prefix([row, Row([7, 5, 9], [(2, 1)])]) == 1
