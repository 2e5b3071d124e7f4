"""Answers drawn in one place are those of a model that reads each whole text alone, whatever else is drawn beside them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
DynamicCache = pytest.importorskip("transformers").DynamicCache

from askback.engines.local import attention, transformers_local  # noqa: E402
from askback.engines.local.decoding import Drawing  # noqa: E402
from askback.engines.local.kv_cache import SPARE, Place  # noqa: E402
from askback.engines.local.lines import can_pack  # noqa: E402
from tests.tiny import random_model  # noqa: E402

STOP = 2
MOST = 30
ROWS = [[3 + (7 * row * at + at * at + row) % 400 for at in range(20 + 9 * (row % 5))] for row in range(11)]
ROWS = [[9, 8, 7, *row] for row in ROWS]


@pytest.fixture(scope="module", params=["Llama", "Mistral", "GPT2", "Gemma2", "Qwen3"])
def model(request: pytest.FixtureRequest) -> Any:
    model = random_model(request.param)
    attention.use(model)  # as the engine does
    return model


def scrambled(logits: Any, seed: int, step: int) -> int:
    """Choose among the likeliest tokens by seed and step, the stop token now and then."""
    if (seed * 31 + step * 17) % 61 == 12:
        return STOP
    return int(logits.topk(3).indices[(seed + step) % 3])


def choose(logits: Any, numbers: Sequence[int], drawn: Sequence[int]) -> list[int]:
    return [scrambled(*one) for one in zip(logits, numbers, drawn, strict=True)]


def alone(model: Any, row: list[int], number: int) -> list[int]:
    answer: list[int] = []
    with torch.inference_mode():
        while len(answer) < MOST and STOP not in answer:
            answer.append(scrambled(model(torch.tensor([row + answer])).logits[0, -1], number, len(answer)))
    return answer


@pytest.fixture(scope="module")
def expected(model: Any) -> list[list[int]]:
    return [alone(model, row, number) for number, row in enumerate(ROWS)]


@pytest.mark.parametrize("room", [1, 300, 100_000], ids=["one by one", "refilled", "all at once"])
def test_answers_do_not_depend_on_what_is_drawn_beside_them(model: Any, expected: list[list[int]], room: int) -> None:
    assert Drawing(model, ROWS, choose, MOST, [STOP], 128, room, can_pack(model)).run() == expected
    assert max(map(len, expected)) == MOST > min(map(len, expected)), "some end early"


def test_one_row_and_one_token(model: Any, expected: list[list[int]]) -> None:
    assert Drawing(model, ROWS[:1], choose, MOST, [STOP], 128, 300, can_pack(model)).run() == expected[:1]
    assert Drawing(model, ROWS, choose, 1, [STOP], 128, 300, can_pack(model)).run() == [
        answer[:1] for answer in expected
    ]


def test_rows_move_when_the_columns_are_used_up(model: Any) -> None:
    greedy = lambda logits, *_: logits[:, :400].argmax(-1).tolist()  # noqa: E731
    long = 2 * SPARE + 5
    ids = torch.tensor([ROWS[3]])
    with torch.inference_mode():
        for _ in range(long):
            ids = torch.cat([ids, model(ids).logits[:, -1:, :400].argmax(-1)], dim=1)
    assert (
        Drawing(model, ROWS[:4], greedy, long, [419], 128, 100_000, can_pack(model)).run()[3]
        == ids[0, len(ROWS[3]) :].tolist()
    )


def test_rows_move_within_memory_that_is_theirs(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    make_room = Place.make_room

    def seen(place: Place, more: int, longest: int) -> None:
        make_room(place, more, longest)
        held.extend(layer.keys.data_ptr() for layer in (place.cache.layers[:1] if place.cache else []))

    monkeypatch.setattr(Place, "make_room", seen)
    Drawing(model, ROWS, choose, MOST, [STOP], 128, 300, can_pack(model)).run()
    assert len(held) > 5
    assert sum(before != after for before, after in pairwise(held)) == 1, "once, when shorter rows make for more lines"


def test_rows_drawn_together_take_a_gibibyte_or_8192_tokens(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DynamicCache()
    model(torch.tensor([ROWS[0]]), cache=cache)
    token_bytes = sum(one.nbytes for layer in cache.layers for one in (layer.keys, layer.values)) // len(ROWS[0])
    for room, tokens in (1, 8192), (20_000 * token_bytes, 20_000), (2**30, 32_768):
        monkeypatch.setattr(transformers_local, "_DRAW_BYTES", room)
        assert transformers_local._draw_tokens(model, "cpu") == tokens


def test_a_prompt_asked_several_times_is_read_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[int]] = []
    forward = model.forward

    def seen(ids: Any, **given: Any) -> Any:
        read.append(list(ids.shape))
        return forward(ids, **given)

    monkeypatch.setattr(model, "forward", seen)
    answers = Drawing(model, [ROWS[0]] * 5, choose, 2, [STOP], 1000, 100_000, can_pack(model)).run()
    assert sum(rows * width for rows, width in read) == len(ROWS[0]) + sum(len(answer) - 1 for answer in answers)
    assert answers == [alone(model, ROWS[0], number)[:2] for number in range(5)]


def test_a_row_that_is_done_leaves_at_once(
    model: Any, expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model reads every prompt once and every drawn token but the last once, and nothing else but padding."""
    stepped: list[int] = []
    forward = model.forward

    def seen(ids: Any, **given: Any) -> Any:
        stepped.append(ids.shape[0] if ids.shape[1] == 1 else 0)
        return forward(ids, **given)

    monkeypatch.setattr(model, "forward", seen)
    Drawing(model, ROWS, choose, MOST, [STOP], 128, 300, can_pack(model)).run()
    assert sum(stepped) == sum(len(answer) - 1 for answer in expected)


def test_draws_by_seed_alone(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the engine, in float32: a row's answer is the same alone, among others, and beside its own double."""
    from askback.engines.local.transformers_local import TransformersLocal
    from askback.engines.protocol import Sampling
    from askback.prompts.prompt import ask
    from askback.recipe import EngineOptions

    engine = TransformersLocal(str(tiny_model), EngineOptions(dtype="float32", batch_tokens=300))
    prompts = [ask(f"Say {'more and ' * number}more.") for number in (4, 0, 9, 2, 4)]
    drawn = engine.generate(prompts, Sampling(0.9, 0.9, 20), [5, 6, 7, 8, 9])
    for number, prompt in enumerate(prompts):
        assert engine.generate([prompt], Sampling(0.9, 0.9, 20), [5 + number]) == drawn[number : number + 1]
    assert drawn[0].text != drawn[4].text
    assert engine.generate([], Sampling(0.9, 0.9, 20), []) == []
    # The library's own loop, for models with other kinds of layers, gives the same answers.
    monkeypatch.setattr("askback.engines.local.transformers_local._can_share", lambda config: False)
    assert engine.generate(prompts, Sampling(0.9, 0.9, 20), [5, 6, 7, 8, 9]) == drawn
