import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback import prompts
from askback.curate.scorers.rubric import SCORER as RUBRIC
from askback.engines.scripted import Scripted
from askback.prompts.prompt import Prompt, ask
from askback.recipe import Score, Training
from askback.records import Origin, exchange
from askback.rewrite.answer import ANSWERING
from askback.train import batch_size_for, steps_for
from askback.train.training_rows import (
    PAPER_STEPS,
    Direction,
    Row,
    Schedule,
    arrange,
    micro_batch_for,
    padding_of,
    rewritten,
    row_of,
    schedule,
    tokenize,
)
from tests.tiny import build_tokenizer
from tests.train.examples import asked_of, example, examples, learnt_of, lesson

BACKWARD_WORDS = "Which question or instruction from a user does the text below answer best?"


@pytest.fixture(scope="module", params=["system role", "no system role"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return build_tokenizer(system_role=request.param == "system role")


def made_rows(lengths: list[int]) -> list[Row]:
    return [row_of(f"row-{at}", [([1] * 3, [2] * (length - 3))], False) for at, length in enumerate(lengths)]


@pytest.mark.parametrize(("count", "batch", "steps"), PAPER_STEPS)
def test_steps_are_the_papers_at_its_rows(count: int, batch: int, steps: int) -> None:
    assert batch_size_for(count) == batch
    assert steps_for(count, batch) == steps


@pytest.mark.parametrize(
    ("count", "batch", "epochs"),
    [(40, 8, 2.4), (283, 8, 2.7), (1131, 8, 3.0), (4525, 32, 4.0), (36204, 32, 1.25), (200_000, 32, 1.0)],
)
def test_steps_between_and_beyond_the_rows_follow_the_epochs(count: int, batch: int, epochs: float) -> None:
    assert steps_for(count, batch) * batch / count == pytest.approx(epochs, abs=batch / count)


def test_there_is_a_step_for_a_single_example() -> None:
    assert steps_for(1, 32) == 1


class Asking(Scripted):
    """An engine that notes what it is asked."""

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        self.asked = [(prompt, list(choices)) for prompt in prompts]
        return super().choose(prompts, choices)


def test_a_judgement_is_trained_token_by_token_as_the_scorer_asks_for_it(tokenizer: Any) -> None:
    for level in (1, 2, 3, 4, 5):
        taught = lesson(example(level), float(level))
        row = tokenize(tokenizer, taught, "forward", 2048)
        assert row
        engine = Asking()
        RUBRIC.judge(engine, "m", Score(), [taught], 0)
        ((prompt, choices),) = engine.asked
        assert asked_of(row) == prompts.render(tokenizer, prompt)
        whole = prompts.render(tokenizer, replace(prompt, answer_start=prompt.answer_start + choices[level - 1]))
        assert row.ids[:-1] == whole
        assert learnt_of(row)[-1] == tokenizer.eos_token_id and tokenizer.decode(learnt_of(row)[:-1]) == f" {level}"
        assert row.judgement


def test_a_judgement_is_whole_or_not_at_all(tokenizer: Any) -> None:
    taught = lesson(example(1, words=60), 5.0)
    row = tokenize(tokenizer, taught, "forward", 2048)
    assert row and not row.truncated and tokenize(tokenizer, taught, "forward", row.tokens - 1) is None


def test_judgements_share_batches_and_each_batch_is_in_order_of_length() -> None:
    rows = made_rows([100 + at for at in range(64)])
    rows += [row_of(f"judged-{at}", [([1] * (50 + at * 3), [2] * 3)], False, judgement=True) for at in range(64)]
    batches = arrange(rows, 16, 8, seed=3)
    assert sorted(index for batch in batches for index in batch) == list(range(128))
    mixed = [batch for batch in batches if len({index >= 64 for index in batch}) == 2]
    assert len(mixed) <= 2, "one where the two kinds meet, in each of the two windows"
    assert all(batch == sorted(batch, key=lambda index: rows[index].tokens) for batch in batches)
    short = [row._replace(judgement=False) for row in rows]
    alike = [row._replace(learnt=[False] * (row.tokens - 9) + [True] * 9) for row in short]
    assert arrange(short, 16, 8, seed=3) == arrange(alike, 16, 8, seed=3), "a short answer is no judgement"


def test_a_triple_is_trained_as_the_rewriter_is_asked_and_is_whole_or_not_at_all(tokenizer: Any) -> None:
    one = replace(example(3), original="The text says that it carries three boats.")
    row = tokenize(tokenizer, one, "rewrite", 2048)
    assert row and asked_of(row) == prompts.render(tokenizer, ANSWERING.asks(one.instruction, one.original))
    assert tokenizer.decode(learnt_of(row)) == one.output + "<|im_end|>"
    assert tokenize(tokenizer, one, "rewrite", row.tokens) == row
    assert tokenize(tokenizer, one, "rewrite", row.tokens - 1) is None
    assert not rewritten(tokenizer, one, "rewrite")


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_the_training_prefix_is_the_prefix_of_inference(tokenizer: Any, direction: Direction) -> None:
    for one in examples(6):
        row = tokenize(tokenizer, one, direction, 2048)
        assert row
        asked = (
            prompts.backward(one.output)
            if direction == "backward"
            else prompts.forward(ask(one.instruction).turns, one.origin)
        )
        assert asked_of(row) == prompts.render(tokenizer, asked)
        learnt = one.instruction if direction == "backward" else one.output
        assert tokenizer.decode(learnt_of(row)) == learnt + "<|im_end|>"
        assert learnt_of(row)[-1] == tokenizer.eos_token_id
        assert not row.truncated


def test_the_tags_are_not_swapped(tokenizer: Any) -> None:
    cases: list[tuple[Origin, str, str]] = [
        ("seed", prompts.SEED_TAG, prompts.WEB_TAG),
        ("augmented", prompts.WEB_TAG, prompts.SEED_TAG),
    ]
    for origin, tag, other in cases:
        row = tokenize(tokenizer, example(1, origin=origin), "forward", 2048)
        assert row
        asked = tokenizer.decode(asked_of(row))
        assert tag in asked
        assert other not in asked


def test_the_backward_prompt_is_never_used_forward(tokenizer: Any) -> None:
    one = example(3)
    forward, backward = tokenize(tokenizer, one, "forward", 2048), tokenize(tokenizer, one, "backward", 2048)
    assert forward
    assert backward
    assert BACKWARD_WORDS in tokenizer.decode(asked_of(backward))
    assert one.output in tokenizer.decode(asked_of(backward))
    assert one.instruction not in tokenizer.decode(asked_of(backward))
    assert BACKWARD_WORDS not in tokenizer.decode(asked_of(forward))
    assert one.output not in tokenizer.decode(asked_of(forward))


def test_forward_a_long_output_loses_its_end_and_the_stop_token(tokenizer: Any) -> None:
    one = example(2, words=300)
    whole, cut = tokenize(tokenizer, one, "forward", 9999), tokenize(tokenizer, one, "forward", 200)
    assert whole
    assert cut
    assert cut.truncated
    assert cut.tokens == 200
    assert asked_of(cut) == asked_of(whole)
    assert learnt_of(cut) == learnt_of(whole)[: len(learnt_of(cut))]
    assert tokenizer.eos_token_id not in learnt_of(cut)


def test_backward_a_long_output_is_cut_inside_the_prompt(tokenizer: Any) -> None:
    one = example(2, words=600)
    whole = tokenize(tokenizer, one, "backward", 9999)
    assert whole
    limit = whole.tokens // 2
    cut = tokenize(tokenizer, one, "backward", limit)
    assert cut
    assert cut.truncated
    assert limit - 20 <= cut.tokens <= limit
    assert learnt_of(cut) == learnt_of(whole)
    asked = tokenizer.decode(asked_of(cut))
    shown = asked.split("\n--- ")[1].split("\n", 1)[1]
    assert one.output.startswith(shown)
    assert asked.endswith(f"{prompts.SEED_TAG}<|im_end|>\n<|im_start|>assistant\n")


def test_an_example_of_which_nothing_fits_is_left_out(tokenizer: Any) -> None:
    long_instruction = replace(example(1), messages=exchange("Why? " * 400, "So."))
    assert tokenize(tokenizer, long_instruction, "forward", 100) is None
    assert tokenize(tokenizer, long_instruction, "backward", 400) is None


def test_each_epoch_takes_every_row_once() -> None:
    rows = made_rows([4 + at % 50 for at in range(96)])
    batches = arrange(rows, 36, 8, seed=1)
    epochs = [[index for batch in batches[at : at + 12] for index in batch] for at in (0, 12, 24)]
    assert all(sorted(epoch) == list(range(96)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    neighbours = [frozenset(batch) for batch in batches]
    assert len(set(neighbours[:12]) & set(neighbours[12:24])) < 3


def test_the_order_depends_on_ids_and_seed_alone() -> None:
    rows = made_rows([4 + at * 13 % 50 for at in range(60)])
    mixed = random.Random(5).sample(rows, len(rows))
    by_id = [[rows[index].id for index in batch] for batch in arrange(rows, 20, 8, seed=3)]
    assert by_id == [[mixed[index].id for index in batch] for batch in arrange(mixed, 20, 8, seed=3)]
    assert by_id != [[rows[index].id for index in batch] for batch in arrange(rows, 20, 8, seed=4)]


def test_added_rows_come_on_top_of_the_batches_of_the_others() -> None:
    lengths = [4 + at * 13 % 50 for at in range(60)]
    rows = [row._replace(added=at % 5 == 0) for at, row in enumerate(made_rows(lengths))]
    alone = [row for row in rows if not row.added]
    without = [[alone[index].id for index in batch] for batch in arrange(alone, 20, 8, seed=3)]
    batches = arrange(rows, 20, 8, seed=3, on_top=2)
    first = [[rows[index].id for index in batch if not rows[index].added] for batch in batches]
    assert first == without, "what M_0 sees, in its order"
    times = Counter(index for batch in batches for index in batch if rows[index].added)
    assert sum(times.values()) == 40 and set(times.values()) <= {3, 4} and len(times) == 12
    assert all(batch == sorted(batch, key=lambda index: rows[index].tokens) for batch in batches)


@pytest.mark.parametrize(
    ("examples", "added", "processes", "expected"),
    [
        (104, 0, 1, Schedule(8, 31)),
        (112, 8, 1, Schedule(8, 31, 1)),
        (208, 104, 1, Schedule(8, 31, 8)),
        (208, 104, 4, Schedule(8, 31, 8)),
        (144, 40, 4, Schedule(8, 31, 4)),
        (40, 40, 1, Schedule(8, 12)),
    ],
)
def test_steps_are_those_without_what_is_added(examples: int, added: int, processes: int, expected: Schedule) -> None:
    assert schedule(Training(), examples, added, processes) == expected
    assert schedule(Training(exposure="paper"), examples, added, processes) == schedule(Training(), examples)
    assert schedule(Training(steps=7, batch_size=4), 112, 8).steps == 7
    assert schedule(Training(trl={"per_device_train_batch_size": 4}), 112, 8).on_top == 4


def test_little_is_padding() -> None:
    random_lengths = random.Random(0)
    rows = made_rows([int(random_lengths.lognormvariate(5.5, 0.7)) + 4 for _ in range(640)])
    batches = arrange(rows, 80, 8, seed=0)
    unsorted = [list(range(at, at + 8)) for at in range(0, 640, 8)]
    tokens = sum(row.tokens for row in rows)

    def padding(order: list[list[int]]) -> float:
        return sum(8 * max(rows[index].tokens for index in batch) for batch in order) / tokens - 1

    assert padding(batches) < 0.3 < 3 * padding(batches) < padding(unsorted)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_batches_are_full_and_even(count: int, steps: int, batch_size: int, seed: int) -> None:
    rows = made_rows([4 + at * 7 % 23 for at in range(count)])
    batches = arrange(rows, steps, batch_size, seed)
    assert [len(batch) for batch in batches] == [batch_size] * steps
    times = Counter(index for batch in batches for index in batch)
    assert max(times.values()) - min(times[index] for index in range(count)) <= 1
    assert all(batch == sorted(batch, key=lambda index: rows[index].tokens) for batch in batches)
    # A row can meet itself only where a batch goes across the border of two epochs.
    borders = steps * batch_size // count
    assert sum(len(set(batch)) < batch_size for batch in batches) <= borders


@given(
    st.lists(st.lists(st.integers(1, 400), min_size=12, max_size=12).map(sorted), min_size=1),
    st.integers(1, 3000),
    st.booleans(),
)
def test_a_micro_batch_is_the_largest_that_fits(lengths: list[list[int]], limit: int, packed: bool) -> None:
    def widest(size: int) -> int:
        parts = [batch[at : at + size] for batch in lengths for at in range(0, 12, size)]
        return max(sum(part) if packed else size * max(part) for part in parts)

    size = micro_batch_for(lengths, limit, packed=packed)
    assert size == 1 or widest(size) <= limit
    assert all(widest(larger) > limit for larger in (2, 3, 4, 6, 12) if larger > size)


def test_padding_is_what_the_rows_of_a_micro_batch_lack_of_its_longest() -> None:
    assert padding_of([[1, 2, 3, 5], [2, 2, 4, 4]], 2) == 1 + 2 + 0 + 0
    assert padding_of([[1, 2, 3, 5], [2, 2, 4, 4]], 1) == 0


@pytest.mark.parametrize(("processes", "expected"), [(1, 12), (2, 6), (4, 3), (12, 1)])
def test_a_micro_batch_leaves_every_process_an_equal_share(processes: int, expected: int) -> None:
    assert micro_batch_for([[5] * 12], 1000, processes) == expected
