"""Asking a server, over real sockets, that gives what it can, too little, or trouble."""

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from askback.engines.http.capabilities import SERVED
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.http.tokens import choice_in
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Sampling
from askback.engines.response_cache import Answers
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions
from tests.engines.fault_server import FAULTS, FaultServer
from tests.engines.served import Body, ServedModel, rating

PROMPTS = [ask(f"Question {number} about the river.", "Score:" if number % 2 else "") for number in range(6)]
LEVELS = [f" {level}" for level in range(1, 6)]
GREEDY = Sampling(0, 1, 8)
DRAWN = Sampling(0.7, 0.9, 16)


def options(server: FaultServer, **more: object) -> EngineOptions:
    return EngineOptions.model_validate({"kind": "openai_http", "url": server.url} | more)


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> TransformersLocal:
    return TransformersLocal(str(tiny_model), EngineOptions(dtype="float32"))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askback.engines.http.endpoint.FIRST_PAUSE", 0.01)


@pytest.fixture
def chat() -> Iterator[FaultServer]:
    with FaultServer(rating) as server:
        yield server


@pytest.mark.parametrize("lacks", ["", "prompt_logprobs", "ids"])
def test_asked_by_tokens_a_server_says_what_the_model_itself_says(
    tiny_model: Path, local: TransformersLocal, lacks: str
) -> None:
    with FaultServer(ServedModel(tiny_model, frozenset({lacks}))) as server:
        engine = OpenAIHttp("", options(server, tokenizer=str(tiny_model)))
        assert engine.calls == SERVED
        drawn, expected = engine.generate(PROMPTS, GREEDY, range(6)), local.generate(PROMPTS, GREEDY, range(6))
        assert [(one.text, one.finished) for one in drawn] == [(one.text, one.finished) for one in expected]
        for ours, theirs in zip(engine.choose(PROMPTS, LEVELS), local.choose(PROMPTS, LEVELS), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)
        # Choices of several tokens that share no beginning.
        words = [" river stone", " paper", " music letter"]
        for ours, theirs in zip(engine.choose(PROMPTS, words), local.choose(PROMPTS, words), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-3)
        texts = [f"An answer, {number}." for number in range(6)]
        found = engine.loglikelihood(PROMPTS, texts)
        for one, other in zip(found, local.loglikelihood(PROMPTS, texts), strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
            assert one.tokens == other.tokens


def test_over_chat_choices_are_read_from_the_most_likely_tokens(tiny_model: Path, local: TransformersLocal) -> None:
    """What is there is right; what is not gets a bound from above."""
    with FaultServer(ServedModel(tiny_model)) as server:
        engine = OpenAIHttp("", options(server))
        assert engine.calls == {"generate", "choose"}
        drawn, expected = engine.generate(PROMPTS, GREEDY, range(6)), local.generate(PROMPTS, GREEDY, range(6))
        assert [one.text for one in drawn] == [one.text.removeprefix("Score:") for one in expected]
        plain = [prompt for prompt in PROMPTS if not prompt.answer_start]
        firsts = [one.text for one in local.generate(plain, Sampling(0, 1, 1), range(len(plain)))]
        assert any(first.strip() for first in firsts)
        for prompt, first in zip(plain, firsts, strict=True):
            if first.strip():
                read, absent = engine.choose([prompt], [first, "absent"])[0]
                assert read >= local.choose([prompt], [first])[0][0] - 1e-4  # and what else strips to the same
                assert absent < read < 0
        with pytest.raises(InputError, match="cannot loglikelihood"):
            engine.loglikelihood(PROMPTS[:1], ["x"])


def test_a_rating_over_chat_is_the_servers_own_distribution(chat: FaultServer) -> None:
    engine = OpenAIHttp("", options(chat))
    prompt = ask("Rate this.", "Score:")
    _, body = rating("", {"messages": engine._payload(prompt)["messages"], "logprobs": True})
    expected = [one["logprob"] for one in body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]]
    assert engine.choose([prompt], LEVELS)[0] == pytest.approx(expected)


def test_a_server_that_renders_a_chat_itself_finds_no_markup_in_what_is_said(chat: FaultServer) -> None:
    engine = OpenAIHttp("", options(chat))
    sent = json.dumps(engine._payload(ask("A </s> and <|im_end|>.", "It says [/INST]\nScore:"))["messages"])
    assert not any(marker in sent for marker in ("</s>", "<|im_end|>", "[/INST]"))
    assert sent.count("\\u2060") >= 2


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (
            [("Score", -0.1, []), (":", -0.1, []), (" 4", -0.2, [(" 4", -0.2), ("4", -3.0)])],
            math.exp(-0.2) + math.exp(-3),
        ),
        ([(" ", -0.5, []), ("4", -0.2, [("4", -0.2)])], math.exp(-0.7)),
        ([("4", -0.2, [("4", -0.2), ("x", -9.0)])], math.exp(-0.2)),
    ],
)
def test_the_choice_is_found_behind_its_start(tokens: list[Any], expected: float) -> None:
    row = choice_in(tokens, ask("", "Score:"), LEVELS)
    assert math.exp(row[3]) == pytest.approx(expected)
    assert all(value < row[3] for at, value in enumerate(row) if at != 3)


def test_an_answer_that_holds_no_choice_is_unscored() -> None:
    said = [("4", None, []), ("I", -0.1, [("I", -0.1)]), (" cannot", -0.1, [(" 4", -3.0)])]
    assert all(math.isnan(value) for value in choice_in(said, ask("", "Score:"), LEVELS))


def test_what_a_server_lacks_is_said_in_one_line(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    lacks = frozenset({"ids", "prompt_logprobs", "echo", "logprobs"})
    with FaultServer(ServedModel(tiny_model, lacks)) as server, caplog.at_level(logging.WARNING):
        by_tokens = OpenAIHttp("", options(server, tokenizer=str(tiny_model)))
        chat = OpenAIHttp("", options(server))
    assert by_tokens.calls == chat.calls == {"generate"}
    assert "cannot choose, loglikelihood (no log-probabilities" in by_tokens.describe()
    assert [record.message for record in caplog.records] == [by_tokens.describe(), chat.describe()]
    with pytest.raises(InputError, match="cannot choose"):
        chat.choose(PROMPTS, LEVELS)


def test_all_records_come_through_a_fifth_of_faults(tmp_path: Path) -> None:
    prompts = [ask(f"Tell me about stone number {number}.", "Score:") for number in range(400)]
    with FaultServer(rating, share=0.2, seed=1) as server:
        worker = WorkerContext()
        engine = OpenAIHttp("", options(server, timeout_s=2, retries=8), worker=worker)
        probes = set(server.delivered)
        with worker.keeping(tmp_path / "asked.jsonl"):
            drawn = engine.generate(prompts, DRAWN, range(400))
            rows = engine.choose(prompts[:100], LEVELS)
            assert len(Answers(tmp_path / "asked.jsonl")._known) == 500
            again = engine.generate(prompts, DRAWN, range(400))
    assert set(server.met) == {"", *FAULTS}
    assert again == drawn
    assert all(one.finished and not one.error for one in drawn)
    assert len({one.text for one in drawn}) == 400
    assert all(math.isfinite(value) for row in rows for value in row)
    paid = {id: count for id, count in server.delivered.items() if id not in probes}
    assert len(paid) == 500
    assert set(paid.values()) == {1}
    assert not (tmp_path / "asked.jsonl").exists()


def test_a_refused_prompt_fails_alone() -> None:
    def picky(path: str, payload: Body) -> tuple[int, Body]:
        said = payload["messages"][0]["content"]
        if "7" in said:
            return 400, {"error": {"message": "too long for this model"}}
        status, body = rating(path, payload)
        if "5" in said:
            body["choices"][0]["finish_reason"] = "content_filter"
        return status, body

    prompts = [ask(f"Number {number}") for number in range(10)]
    with FaultServer(picky) as server:
        engine = OpenAIHttp("", options(server))
        probes = list(server.asked.elements())
        drawn, rows = engine.generate(prompts, DRAWN, range(10)), engine.choose(prompts, LEVELS)
        assert sum(server.asked.values()) == len(probes) + 20 + 2, "and two plain questions, to see whose fault it is"
    assert [bool(one.error) for one in drawn] == [number in (5, 7) for number in range(10)]
    assert "HTTP 400" in drawn[7].error and "too long" in drawn[7].error
    assert "content_filter" in drawn[5].error
    assert math.isnan(rows[7][0]) and math.isfinite(rows[6][0])


def test_a_record_that_is_never_answered_fails_and_a_dead_server_stops_the_run(chat: FaultServer) -> None:
    def ill(path: str, payload: Body) -> tuple[int, Body]:
        return (500, {}) if "poison" in payload["messages"][0]["content"] else rating(path, payload)

    with FaultServer(ill) as server:
        engine = OpenAIHttp("", options(server, retries=2))
        drawn = engine.generate([ask("a"), ask("poison"), ask("b")], DRAWN, [0, 1, 2])
        assert [bool(one.error) for one in drawn] == [False, True, False]
        assert "no answer in 3 tries; the last: HTTP 500" in drawn[1].error
    engine = OpenAIHttp("", options(chat, retries=1))
    chat.down = True
    with pytest.raises(InputError, match="Everything answered so far is kept"):
        engine.generate([ask(f"p{number}") for number in range(20)], DRAWN, range(20))
    with pytest.raises(InputError, match="no answer in 2 tries"):
        OpenAIHttp("", EngineOptions(kind="openai_http", url="http://127.0.0.1:9/v1", retries=1, model="m"))


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key"), (404, "model's name"), (302, "Check the url")])
def test_what_no_request_can_pass_stops_at_once(status: int, said: str) -> None:
    with FaultServer(lambda path, payload: (status, {"error": "no"})) as server, pytest.raises(InputError, match=said):
        OpenAIHttp("", options(server))
    assert sum(server.asked.values()) == 1


def test_the_model_is_asked_for_where_there_is_one(chat: FaultServer) -> None:
    assert "model served" in OpenAIHttp("", options(chat)).describe()


def test_half_a_surrogate_pair_does_not_stop_a_run(chat: FaultServer) -> None:
    assert OpenAIHttp("", options(chat)).generate([ask("half \ud83d a pair")], DRAWN, [0])[0].text


def test_no_more_are_in_flight_than_allowed() -> None:
    with FaultServer(rating, delay=0.01) as server:
        engine = OpenAIHttp("", options(server, concurrency=3))
        engine.generate([ask(f"p{number}") for number in range(40)], DRAWN, range(40))
    assert 2 <= server.most_at_once <= 3


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    key = "sk-planted-0123456789"
    monkeypatch.setenv("PLANTED", key)
    with FaultServer(rating, seed=3) as server, caplog.at_level(logging.DEBUG, "askback"):
        worker = WorkerContext()
        given = options(server, api_key_env="PLANTED", retries=0, timeout_s=0.3, model="m")
        engine = OpenAIHttp("", given, worker=worker)
        server.share = 0.5
        with worker.keeping(tmp_path / "asked"):
            try:
                drawn = engine.generate([ask(f"p{number}") for number in range(30)], DRAWN, range(30))
                said = json.dumps([one.error for one in drawn])
            except InputError as error:
                said = str(error)
            kept = (tmp_path / "asked").read_text()
    assert server.keys == {f"Bearer {key}"}
    assert server.met["500"]
    for text in (said, kept, caplog.text, engine.describe(), repr(engine.__dict__)):
        assert key not in text
    monkeypatch.delenv("PLANTED")
    with pytest.raises(InputError, match="PLANTED is not set"):
        OpenAIHttp("", options(server, api_key_env="PLANTED"))


@pytest.mark.parametrize(
    "given",
    [
        {"api_key_env": "sk-planted-0123456789", "url": "http://x/v1"},
        {"api_key_env": "gsk_planted0123456789", "url": "http://x/v1"},
        {"url": "https://user:planted@host/v1"},
        {"url": "https://host/v1?key=planted"},
        {"url": "host/v1"},
        {},
        {"url": "http://x/v1", "api": "completions"},
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_unrepeated(given: dict[str, str], tmp_path: Path) -> None:
    import yaml

    from askback.errors import RecipeError
    from askback.recipe.file import load_recipe

    recipe = Path(__file__).parents[2] / "recipes/template.yaml"
    tree = yaml.safe_load(recipe.read_text())
    tree["resources"]["engines"] = {"score": {"kind": "openai_http"} | given}
    tree["recipe"]["rounds"] = 1
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(RecipeError, match=r"resources.engines.score") as found:
        load_recipe(tmp_path / "recipe.yaml")
    assert "planted" not in str(found.value)
