"""Whose fault it is that there is no answer: the account's and the server's stop a run, the record's fails a record."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.protocol import Completion, Sampling
from askback.engines.response_cache import Answers
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.execution.shards import Records
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions
from tests.engines.oddities import Odd, OddServer, Reply, asks_plainly, reply, said
from tests.engines.served import Body, rating

DRAWN = Sampling(0.7, 0.9, 16)
PROMPTS = [ask(f"Question {number} about the harbour.") for number in range(12)]


def error(message: str, **more: Any) -> Body:
    return {"error": {"message": message} | more}


ACCOUNT = [
    (402, error("Payment required: add credits")),
    (403, error("This region is not served")),
    (404, error("The model `odd` does not exist")),
    (451, error("Unavailable for legal reasons")),
    (400, error("Your billing hard limit has been reached", code="billing_hard_limit_reached")),
    (400, error("This organisation has been deactivated")),
    (401, error("Incorrect key")),
    (418, error("I am a teapot")),
    (422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}),
    (429, error("You exceeded your current quota, please check your plan", code="insufficient_quota")),
    (410, {"message": "this version is retired"}),
    (200, error("Rate limit exceeded: free-models-per-day", code=429)),
    (200, {"id": None, "choices": None, "error": {"message": "No credits are left", "code": 402}}),
    (200, {"object": "error", "message": "The model is not served here", "code": 404}),
]


@pytest.mark.parametrize(("status", "body"), ACCOUNT, ids=lambda value: str(value)[:40])
def test_what_is_the_accounts_fault_stops_with_the_servers_words(status: int, body: Body, tmp_path: Path) -> None:
    """Answers that came before are kept, and when the account is well only the others are asked for."""
    ill = True

    def odd(path: str, payload: Body, number: int) -> Reply:
        return reply(body, status) if ill and number > 8 else reply(rating(path, payload)[1])

    with OddServer(odd) as server:
        worker = WorkerContext()
        engine = asked_of(server, worker)
        before = len(server.asked)
        with pytest.raises(InputError) as found, worker.keeping(tmp_path / "asked"):
            engine.generate(PROMPTS, DRAWN, range(12))
        words = body.get("message") or (body["error"]["message"] if "error" in body else "extra fields not permitted")
        assert words in str(found.value) and "run the same command again" in str(found.value)
        ill, paid = False, 8 - before
        served = len(server.asked)
        with worker.keeping(tmp_path / "asked"):
            drawn = engine.generate(PROMPTS, DRAWN, range(12))
        assert all(one.finished and not one.error for one in drawn)
        assert len(server.asked) - served == 12 - paid


def asked_of(server: OddServer, worker: WorkerContext | None = None, **more: Any) -> OpenAIHttp:
    given = {"kind": "openai_http", "url": server.url, "model": "odd", "retries": 0, "concurrency": 1} | more
    return OpenAIHttp("", EngineOptions.model_validate(given), worker=worker)


def to_some(numbers: set[int], status: int, body: Body) -> Odd:
    """Return a server that refuses questions of these numbers, and answers all others."""

    def odd(path: str, payload: Body, number: int) -> Reply:
        user = payload["messages"][0]["content"]
        refused = any(user.startswith(f"Question {one} ") for one in numbers)
        return reply(body, status) if refused else reply(rating(path, payload)[1])

    return odd


RECORDS = [
    (400, error("The prompt triggered the content management policy", code="content_filter")),
    (400, error("This model's maximum context length is 4096 tokens")),
    (413, error("too large")),
    (422, error("inputs must have less than 4096 tokens", type="validation")),
    (403, error("your input was flagged", metadata={"reasons": ["violence"]})),
    (500, error("worker crashed on this input")),
    (400, {"detail": "odd characters"}),
    (200, error("the prompt is too long", code=400)),
    (200, said("", "content_filter")),
    (200, {"choices": [{"message": {"refusal": "I will not"}}]}),
]


@pytest.mark.parametrize(("status", "body"), RECORDS, ids=lambda value: str(value)[:40])
def test_what_is_a_records_fault_fails_it_with_the_servers_words(status: int, body: Body) -> None:
    with OddServer(to_some({3, 7}, status, body)) as server:
        engine = asked_of(server)
        drawn: list[Completion] = engine.generate(PROMPTS, DRAWN, range(12))
        rows = engine.choose(PROMPTS, [f" {level}" for level in range(1, 6)])
    assert [number for number, one in enumerate(drawn) if one.error] == [3, 7]
    words = json.dumps(body)
    told = drawn[3].error.split("HTTP ")[-1].split(": ")[-1].strip("'").removesuffix("'")
    assert told.split(" (")[0].partition(" ")[2][:20] in words or told in words or "content_filter" in told
    assert [number for number, row in enumerate(rows) if math.isnan(row[0])] == [3, 7]
    assert rows[3].reason  # type: ignore[attr-defined]


@pytest.mark.parametrize("numbers", [set(range(12)), set(range(4, 12)), {5, 6, 7, 8, 9}])
@pytest.mark.parametrize(("status", "body"), [RECORDS[0], RECORDS[1], RECORDS[8]], ids=["filter", "length", "withheld"])
def test_refusals_alike_stop_a_run_unless_they_are_accepted(numbers: set[int], status: int, body: Body) -> None:
    with OddServer(to_some(numbers, status, body)) as server:
        with pytest.raises(InputError, match="one request after the other") as found:
            asked_of(server).generate(PROMPTS, DRAWN, range(12))
        assert f"accept_refusals: [{status}]" in str(found.value)
        drawn = asked_of(server, accept_refusals=[status]).generate(PROMPTS, DRAWN, range(12))
    assert {number for number, one in enumerate(drawn) if one.error} == numbers


def test_what_was_answered_before_a_kill_tells_that_refusals_are_the_records_own() -> None:
    """The process that goes on asks about refused records alone, as the others' answers are kept."""
    kept = Answers()
    with OddServer(to_some({3, 7}, *RECORDS[1])) as server:
        for _ in range(2):
            worker = WorkerContext()
            worker.answers = kept
            engine = OpenAIHttp("", asked_of(server)._options, worker=worker)
            drawn = engine.generate(PROMPTS, DRAWN, range(12))
            assert [number for number, one in enumerate(drawn) if one.error] == [3, 7]


def test_all_of_a_few_is_all() -> None:
    with OddServer(to_some(set(range(12)), *RECORDS[1])) as server, pytest.raises(InputError, match="maximum context"):
        asked_of(server).generate(PROMPTS[:3], DRAWN, range(3))


@pytest.mark.parametrize("name", ["seed", "top_p", "temperature"])
def test_a_parameter_that_is_refused_is_told_and_can_be_left_out(name: str) -> None:
    def odd(path: str, payload: Body, number: int) -> Reply:
        if name in payload:
            return reply(error(f"Unsupported parameter: '{name}' is not supported with this model."), 400)
        return reply(rating(path, payload)[1])

    with OddServer(odd) as server:
        with pytest.raises(InputError, match=rf"Unsupported parameter: .*leave_out: \[{name}\]"):
            asked_of(server)
        engine = asked_of(server, leave_out=[name])
        assert f"left out: {name}" in engine.describe()
        assert all(one.text for one in engine.generate(PROMPTS, DRAWN, range(12)))
        assert "choose" in engine.calls


def test_log_probabilities_can_be_left_out() -> None:
    with OddServer(lambda path, payload, _: reply(rating(path, payload)[1])) as server:
        assert asked_of(server, leave_out=["logprobs"]).calls == {"generate"}
        assert not any("logprobs" in payload for payload in server.asked)


@pytest.mark.parametrize("body", [said(None), said(""), said("  "), {"choices": [{}]}, said(None, tool_calls=[1])])
def test_a_server_that_answers_with_nothing_is_not_begun_with(body: Body) -> None:
    with (
        OddServer(lambda *_: reply(body)) as server,
        pytest.raises(InputError, match=r"plain question: .*(?:no text|a tool)"),
    ):
        asked_of(server)


ODD_LINES = [
    b'["KEY", 7]',
    b'["KEY", null]',
    b'["KEY", {"text": 3, "tokens": 1, "finished": true}]',
    b'["KEY", {"text": "a", "tokens": -1, "finished": true}]',
    b'["KEY", {"text": "a", "tokens": 1e99, "finished": true}]',
    b'["KEY", {"text": "a"}]',
    b'["KEY", [["4", NaN, []]]]',
    b'["KEY", "a"]',
    b'["KEY"',
    b"7",
    b"null",
    b'{"KEY": 1}',
    b'[["KEY"], {"text": "a"}]',
    b"\xff\x00",
    b"[" * 100_000,
]


@pytest.mark.parametrize("line", ODD_LINES, ids=range(len(ODD_LINES)))
def test_a_kept_answer_that_is_none_is_asked_for_again(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "asked"
    with OddServer(lambda path, payload, _: reply(rating(path, payload)[1])) as server:
        worker = WorkerContext()
        engine = asked_of(server, worker)
        with pytest.raises(KeyError), worker.keeping(path):
            expected = engine.generate(PROMPTS[:1], DRAWN, [0])
            raise KeyError
        key = json.loads(path.read_text().splitlines()[1])[0]
        path.write_bytes(line.replace(b"KEY", key.encode()) + b"\n")
        with worker.keeping(path):
            assert engine.generate(PROMPTS[:1], DRAWN, [0]) == expected


def test_a_run_goes_on_after_the_account_is_well_and_asks_for_all_that_is_missing(tmp_path: Path) -> None:
    """36 records in two pieces; the money is used up in the middle. None is lost, and none paid twice."""
    credit, paid = 20, Counter[str]()

    def odd(path: str, payload: Body, number: int) -> Reply:
        if not asks_plainly(payload) and "Text number" in payload["messages"][0]["content"]:
            if sum(paid.values()) >= credit:
                return reply(error("Insufficient credits: top up your balance", code=402), 402)
            paid[json.dumps(payload)] += 1
        return reply(rating(path, payload)[1])

    with OddServer(odd) as server:
        command = [sys.executable, "-m", "tests.engines.paid_run", str(tmp_path), server.url]
        environment = os.environ | {"PLANTED": "sk-planted-0123456789", "OMP_NUM_THREADS": "1", "SEGMENTS": "36"}
        first = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert first.returncode == 3, first.stderr
        assert "Insufficient credits: top up your balance" in first.stderr.splitlines()[-1]
        assert not (tmp_path / "run/ask/step.json").exists()
        credit = 1000
        last = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert last.returncode == 0, last.stderr
    assert sorted(one.provenance.uri for one in Records[Any](tmp_path / "run/ask", "")) == sorted(
        f"f:{n}" for n in range(36)
    )
    assert len(paid) == 36 and set(paid.values()) == {1}
