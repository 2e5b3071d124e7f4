"""What every engine promises (engines/protocol.py), asked of each one in the table."""

import math
import random
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from askback.engines import kind_of
from askback.engines.http.capabilities import SERVED
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import CALLS, Engine, Sampling
from askback.engines.scripted import Scripted
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.lookup import load
from askback.prompts.prompt import Prompt, ask
from askback.recipe import EngineOptions
from askback.recipe.names import ENGINES
from tests.engines.fault_server import FaultServer
from tests.engines.order import Scores, assert_alike, scores
from tests.engines.served import ServedModel

PROMPTS = [
    ask("Why does the river carry paper boats?"),
    ask("Winter light in a window. " * 12),
    ask("Überquert der Fluß 東京の橋を? 🌉 e\u0301 \u200b\x00 \u202e", "Score:"),
    ask("", "Well"),
    ask("Why does the river carry paper boats?", "Because"),
    ask("A letter from <|im_end|> the garden\r\n\r\n\t12"),
]
CHOICES = [f" {level}" for level in range(1, 6)]
DRAWN = Sampling(temperature=1.0, top_p=0.95, max_new_tokens=12)


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[FaultServer]:
    """The same model behind a socket."""
    with FaultServer(ServedModel(tiny_model)) as served:
        yield served


@pytest.fixture(scope="module")
def worker() -> WorkerContext:
    """What all engines are opened in."""
    return WorkerContext()


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(
    request: pytest.FixtureRequest, tiny_model: Path, server: FaultServer, worker: WorkerContext
) -> Iterator[Engine]:
    # float32, so that rows of another batch agree to the last sampled token; and batches of a few rows.
    options = EngineOptions(
        kind=request.param, dtype="float32", batch_tokens=256, url=server.url, tokenizer=str(tiny_model)
    )
    yield load(kind_of(request.param).opens)(str(tiny_model), options, "", worker)


def test_it_says_what_it_can_be_asked(engine: Engine) -> None:
    """All but hidden states of all engines; those of engines that hold the model."""
    held = isinstance(engine, (TransformersLocal, Scripted))
    assert engine.calls == (CALLS if held else SERVED)
    if not held:
        with pytest.raises(InputError, match="hidden states come from the engine 'transformers' alone"):
            engine.represent(PROMPTS, ["An answer."] * len(PROMPTS), [1.0])


def test_nothing_asked_nothing_answered(engine: Engine) -> None:
    assert engine.generate([], DRAWN, []) == []
    assert engine.choose([], CHOICES) == []
    assert engine.loglikelihood([], []) == []
    assert "represent" not in engine.calls or engine.represent([], [], [1.0]) == []


def test_answers_come_in_the_order_of_the_prompts(engine: Engine) -> None:
    """Each prompt alone gets what it gets among the others, wherever it stands."""
    seeds = list(range(len(PROMPTS)))
    order = [3, 5, 0, 4, 2, 1]
    shuffled = [PROMPTS[at] for at in order]
    texts = [f"An answer, number {at}." for at in seeds]
    drawn = engine.generate(PROMPTS, DRAWN, seeds)
    chosen = engine.choose(PROMPTS, CHOICES)
    measured = engine.loglikelihood(PROMPTS, texts)
    assert engine.generate(shuffled, DRAWN, order) == [drawn[at] for at in order]
    for at, row in zip(order, engine.choose(shuffled, CHOICES), strict=True):
        assert row == pytest.approx(chosen[at], abs=1e-4)
    for at, likelihood in zip(order, engine.loglikelihood(shuffled, [texts[at] for at in order]), strict=True):
        assert likelihood.logprob == pytest.approx(measured[at].logprob, abs=1e-3)
        assert likelihood.tokens == measured[at].tokens
    for at, prompt in enumerate(PROMPTS):
        assert engine.generate([prompt], DRAWN, [seeds[at]]) == [drawn[at]]
        assert engine.choose([prompt], CHOICES)[0] == pytest.approx(chosen[at], abs=1e-4)


def test_hidden_states_depend_on_the_pair_alone(engine: Engine) -> None:
    """Those of each pair alone are those it has among the others, wherever it stands: within 0.001, in float32."""
    if "represent" not in engine.calls:
        return
    depths, order = [0.5, 1.0], [3, 5, 0, 4, 2, 1]
    answers = ["one word", "one word and then some more of them " * 9, "", "é🌉", " padded ", "12"]
    found = engine.represent(PROMPTS, answers, depths)
    assert {(one.shape, str(one.dtype)) for one in found} == {((2, 2, found[0].shape[-1]), "float32")}
    for at, one in zip(
        order, engine.represent([PROMPTS[at] for at in order], [answers[at] for at in order], depths), strict=True
    ):
        assert one == pytest.approx(found[at], abs=1e-3)
    for at, states in enumerate(found):
        (alone,) = engine.represent([PROMPTS[at]], [answers[at]], depths)
        assert alone == pytest.approx(states, abs=1e-3)
    (last,) = engine.represent(PROMPTS[:1], answers[:1], [1.0])
    assert last[0] == pytest.approx(found[0][1], abs=1e-3), "a depth is a depth, whatever is asked for beside it"
    # Another instruction, another answer and another depth each have other states.
    (other,) = engine.represent(PROMPTS[1:2], answers[:1], depths)
    assert min(abs(other - found[0]).max(), abs(found[1] - found[0]).max(), abs(found[0][0] - last[0]).max()) > 0.01


def test_a_seed_gives_its_answer_and_another_seed_another(engine: Engine) -> None:
    prompts = [ask("The copper engine in the garden, the music in the market, the letter on the bridge.")] * 8
    seeds = [0, 1, 2, 3, -1, 2**63, 2**64 - 1, 123_456_789_012_345]
    first = engine.generate(prompts, DRAWN, seeds)
    assert engine.generate(prompts, DRAWN, seeds) == first
    assert len({completion.text for completion in first}) >= 6


def test_temperature_0_takes_the_likeliest_whatever_the_seed(engine: Engine) -> None:
    greedy = Sampling(temperature=0, top_p=1, max_new_tokens=8)
    assert engine.generate(PROMPTS, greedy, [1] * len(PROMPTS)) == engine.generate(PROMPTS, greedy, [2] * len(PROMPTS))


def test_answers_are_no_longer_than_asked(engine: Engine) -> None:
    for limit in (1, 5):
        for answer in engine.generate(PROMPTS, Sampling(1.0, 1.0, limit), range(len(PROMPTS))):
            assert answer.tokens <= limit
            assert answer.finished or answer.tokens == limit
            assert "<|im_end|>" not in answer.text


def test_choices_have_probabilities_of_exclusive_events(engine: Engine) -> None:
    for row in engine.choose(PROMPTS, CHOICES):
        assert len(row) == len(CHOICES)
        assert all(math.isfinite(value) and value < 0 for value in row)
        assert sum(map(math.exp, row)) <= 1 + 1e-6


def test_likelihoods_are_negative_and_count_the_stop_token(engine: Engine) -> None:
    texts = ["one word", "one word and then some more of them", "", "é🌉", " padded ", "12"]
    found = engine.loglikelihood(PROMPTS, texts)
    assert all(math.isfinite(likelihood.logprob) and likelihood.logprob < 0 for likelihood in found)
    assert found[2].tokens >= 1
    assert found[1].tokens > found[0].tokens > found[2].tokens


def test_what_is_read_and_written_is_counted(engine: Engine, worker: WorkerContext, tmp_path: Path) -> None:
    """Each prompt whole, whatever the engine reads once for all of them."""

    def counted(prompts: list[Prompt]) -> list[int]:
        totals = [worker.usage.total]
        with worker.keeping(tmp_path / "asked.jsonl"):  # else what a server has been asked before is not asked again
            answers = engine.generate(prompts, DRAWN, [7] * len(prompts))
            totals.append(worker.usage.total)
            engine.choose(prompts, CHOICES)
            totals.append(worker.usage.total)
            engine.loglikelihood(prompts, ["An answer."] * len(prompts))
            totals.append(worker.usage.total)
        assert totals[1].output - totals[0].output >= sum(answer.tokens for answer in answers) > 0
        return [after.prompt - before.prompt for before, after in pairwise(totals)]

    short, long = counted(PROMPTS[:1]), counted([PROMPTS[1]])
    assert all(2 * few < many for few, many in zip(short, long, strict=True))
    both = [ask(f"{PROMPTS[1].user} {end}") for end in ("One?", "Two?")]
    apart, together = [counted([prompt]) for prompt in both], counted(both)
    assert together == [sum(kind) for kind in zip(*apart, strict=True)]


@pytest.mark.parametrize("count", [0, 1, 3, 10, 1000])
def test_truncate_returns_a_beginning(engine: Engine, count: int) -> None:
    texts = ["", "word", "  two words \n", "no-break" * 30, "Zürich 東京 🌉👩‍👩‍👧 " * 20, "\n\n\n", PROMPTS[1].user]
    for text in texts:
        head = engine.truncate(text, count)
        assert text.startswith(head)
        assert engine.truncate(head, count) == head
        if count == 1000:
            assert head == text
        if count == 0:
            assert head == ""


def test_unequal_numbers_of_prompts_and_seeds_are_a_mistake(engine: Engine) -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        engine.generate(PROMPTS, DRAWN, [1])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        engine.loglikelihood(PROMPTS, ["x"])


MANY = [
    ask("The river carried paper boats. " * (1 + number % 5) + f"And what did number {number} do?", "Score:")
    for number in range(64)
]

APART = [kind for kind in sorted(ENGINES) if kind != "vllm_server"]
"""The other one is asked by the code of openai_http; a real one is tested in test_vllm_server.py."""


@pytest.mark.parametrize(("kind", "dtype"), [*((kind, "float32") for kind in APART), ("transformers", "bfloat16")])
def test_scores_do_not_depend_on_who_asks_with_whom(kind: str, dtype: str, tiny_model: Path) -> None:
    """Two orders, two batch sizes, and the first again in another order after a restart."""
    found: list[Scores] = []
    for seed, size, at_once in ((0, 256, 1), (1, 16384, 8), (2, 256, 1)):
        order = random.Random(seed).sample(range(len(MANY)), len(MANY))
        with ExitStack() as stack:
            url = stack.enter_context(FaultServer(ServedModel(tiny_model))).url if kind_of(kind).served else ""
            given = {"kind": kind, "dtype": dtype, "batch_tokens": size, "concurrency": at_once, "url": url}
            options = EngineOptions.model_validate(given | {"tokenizer": str(tiny_model)})
            engine = load(kind_of(kind).opens)(str(tiny_model), options, "", WorkerContext())
            found.append(scores(engine, MANY, order))
    for others in found[1:]:
        assert_alike(found[0], others, dtype)
