"""Server answers made and damaged at random: no traceback, no hang, no score that no probability stands for, counts that
balance."""

import gc
import json
import logging
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from askback.augment.write import Writing, write_piece
from askback.curate.score import score_piece
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.protocol import Likelihood, Sampling
from askback.engines.worker_context import WorkerContext
from askback.errors import AskbackError
from askback.execution.identity import Model
from askback.prompts.prompt import ask
from askback.recipe import Augment, EngineOptions, Resources, Score
from askback.records import UNSCORED, Candidate, Provenance, Segment, exchange
from tests.engines.oddities import OddServer, Reply, asks_plainly, reply
from tests.engines.served import Body, rating
from tests.fuzz import SIZE

ROUNDS = max(1, round(15 * SIZE))
"""Of `RECORDS` answers to each of generate and choose."""
RECORDS = 4
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        3,
        1.5,
        -0.0,
        -9999.0,
        -math.inf,
        math.inf,
        math.nan,
        10**30,
        "",
        " ",
        "4",
        "Ġ4",
        "▁3",
    ),
    *(
        "stop",
        "length",
        "eos",
        "content_filter",
        "error",
        "-0.5",
        "\ud800",
        "\x00",
        "<think>",
        "</think>\n",
        [],
        {},
        [[]],
    ),
    *(
        [None],
        {"": None},
        {"a": {"b": [1]}},
        "x" * 3000,
        {"type": "text", "text": "Why?"},
        {"message": "quota"},
    ),
]
STATUSES = [200] * 30 + [400, 403, 404, 413, 418, 422, 451, 500, 503, 429, 302, 204]


def damaged(chance: random.Random, value: Any) -> Any:
    """Return a body with one to three of its places changed, taken out or doubled."""
    value = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 3)):
        places = list(_places(value))
        if places:
            holder, at = chance.choice(places)
            match chance.randrange(4):
                case 0 if isinstance(holder, dict):
                    del holder[at]
                case 1 if isinstance(holder, list):
                    holder.insert(at, holder[at])
                case _:
                    holder[at] = chance.choice(VALUES)
    return value


def _places(value: Any) -> Any:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, one in inner:
        yield value, at
        yield from _places(one)


def sent(chance: random.Random, body: Any) -> Reply:
    """Return a reply that is odd in its form, its status or its headers."""
    status = chance.choice(STATUSES)
    raw = json.dumps(body).encode()
    match chance.randrange(12):
        case 0:
            raw = raw[: chance.randrange(len(raw) + 1)]
        case 1:
            raw = bytes(chance.randrange(256) for _ in range(40))
        case 2:
            raw = b"data: " + raw + b"\n\ndata: [DONE]\n\n"
        case 3:
            raw = b"[" * chance.choice([3, 900, 100_000])
        case 4:
            raw = b"<html>Bad gateway</html>"
        case 5:
            raw = json.dumps(chance.choice(VALUES)).encode()
        case 6:
            raw = json.dumps({"error": chance.choice(VALUES), "code": chance.choice(VALUES)}).encode()
    kinds = ["application/json", "text/event-stream", "text/html; charset=utf-16", "", "x"]
    return (
        status,
        {"Content-Type": chance.choice(kinds), "Retry-After": chance.choice(["0", "x", "-1", "nan", ""])},
        raw,
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askback.engines.http.endpoint.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("askback.engines.http.endpoint.PATIENCE", 0.05)
    logging.getLogger("askback.engines.http.endpoint").setLevel(logging.ERROR)


@pytest.fixture(autouse=True)
def nothing_is_collected() -> Iterator[None]:
    """What other tests left is collected before: its ends fail where an answer is nested to the limit of recursion."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(2))
def test_no_answer_breaks_a_step_or_makes_a_score(seed: int) -> None:
    chance = random.Random(seed)

    def odd(path: str, payload: Body, number: int) -> Reply:
        body = rating(path, payload)[1]
        return reply(body) if asks_plainly(payload) or chance.random() < 0.1 else sent(chance, damaged(chance, body))

    with OddServer(odd) as server:
        engine = EngineOptions(kind="openai_http", url=server.url, model="odd", retries=1, timeout_s=5, concurrency=2)
        resources = Resources().model_copy(update={"engine": engine})
        worker = WorkerContext()
        ended = [_round(worker, resources, f"{seed} {at}") for at in range(ROUNDS)]
    assert sum(ended) > 0, "some of them are worked off to their end"


def _round(worker: WorkerContext, resources: Resources, name: str) -> int:
    """Work off a few records; return how many of two pieces came to their end."""
    model, ended = Model(name, name, ""), 0  # type: ignore[arg-type]
    segments = [
        Segment(f"{name} {at}", f"Text {name} {at}.", [], Provenance("u", language="en")) for at in range(RECORDS)
    ]
    pairs = [
        Candidate(one.id, exchange(f"Why {one.id}?", "So."), Provenance("u", language="en"), [], "", "", 0)
        for one in segments
    ]
    with worker.keeping(None):
        try:
            made = write_piece(Writing(Augment()), resources, model, 0, worker, segments)
            assert all(count.balanced() and count.entered == RECORDS for count in made.counts.values())
            ended += 1
        except AskbackError as error:
            assert str(error) and "\n" not in str(error)
        try:
            judged = score_piece(Score(), resources, model, 0, worker, pairs).kept
            ended += 1
        except AskbackError as error:
            assert str(error) and "\n" not in str(error)
            return ended
    for one in judged:
        if one.score is None:
            assert any(said.startswith(UNSCORED) for said in one.raw)
        else:
            assert 1 <= one.score <= 5 and one.distribution and max(one.distribution) - min(one.distribution) > 1e-6
            assert one.mass is not None and 0 < one.mass <= 1.03
    return ended


@pytest.mark.timeout(3000)
def test_no_answer_breaks_what_a_server_is_asked_at_first() -> None:
    chance = random.Random(3)

    def odd(path: str, payload: Body, number: int) -> Reply:
        return sent(chance, damaged(chance, rating(path, payload)[1]))

    with OddServer(odd) as server:
        for _ in range(ROUNDS):
            try:
                found = OpenAIHttp("", EngineOptions(kind="openai_http", url=server.url, model="odd", retries=0))
                assert "generate" in found.calls
            except AskbackError as error:
                assert str(error) and "\n" not in str(error)


@pytest.mark.timeout(3000)
def test_no_answer_makes_a_likelihood(tiny_model: Any) -> None:
    chance = random.Random(4)
    ill = False

    def odd(path: str, payload: Body, number: int) -> Reply:
        choice: Body = {"text": "yes", "finish_reason": "stop", "logprobs": {"top_logprobs": []}}
        for token in payload.get("logprob_token_ids") or []:
            choice["logprobs"]["top_logprobs"] = [{f"token_id:{token}": -1.5}]
        if "prompt_logprobs" in payload:
            choice["prompt_logprobs"] = [None, *({str(token): {"logprob": -1.5}} for token in payload["prompt"][1:])]
        body = {"choices": [choice], "usage": {"completion_tokens": 1}}
        return sent(chance, damaged(chance, body)) if ill else reply(body)

    with OddServer(odd) as server:
        given = {"kind": "openai_http", "url": server.url, "model": "odd", "tokenizer": str(tiny_model), "retries": 1}
        engine = OpenAIHttp("", EngineOptions.model_validate(given))
        assert "loglikelihood" in engine.calls
        for at in range(ROUNDS):
            ill = True
            try:
                found: list[Likelihood] = engine.loglikelihood([ask(f"Why {at} {n}?") for n in range(3)], ["So."] * 3)
                engine.generate([ask(f"Why {at}?")], Sampling(0.7, 0.9, 8), [0])
            except AskbackError as error:
                assert str(error) and "\n" not in str(error)
                continue
            for one in found:
                assert (math.isnan(one.logprob) and one.error) or -1e4 < one.logprob <= 0
