"""The forms in which servers give answers, endings and log-probabilities; each over a real socket."""

import json
import math
from typing import Any

import pytest

from askback.curate.scorers import rubric
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.protocol import Completion, Sampling, Unanswered
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions, Score
from askback.records import Candidate, Provenance, exchange
from tests.engines.oddities import Odd, OddServer, Reply, asks_plainly, reply, said
from tests.engines.served import Body

LEVELS = [f" {level}" for level in range(1, 6)]
SHARES = (0.02, 0.08, 0.2, 0.6, 0.05)
"""Of the digits 1 to 5; the rest is something else."""
EXPECTED = sum(level * share for level, share in enumerate(SHARES, 1)) / sum(SHARES)


def engine(server: OddServer, **more: Any) -> OpenAIHttp:
    given = {"kind": "openai_http", "url": server.url, "model": "odd", "retries": 0} | more
    return OpenAIHttp("", EngineOptions.model_validate(given))


def answered(odd: Odd) -> Odd:
    """Return a server that is odd to all but the plain question."""

    def answer(path: str, payload: Body, number: int) -> Reply:
        return reply(said("yes.")) if asks_plainly(payload) else odd(path, payload, number)

    return answer


def asked(body: Any, most: int = 32) -> Completion:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with OddServer(answered(lambda *_: (200, {}, sent))) as server:
        return engine(server).generate([ask("What is in the harbour?")], Sampling(0.7, 0.9, most), [1])[0]


ENDED = ["stop", "eos", "eos_token", "end", "end_turn", "stop_sequence", "STOP", "complete", "</s>", "EndOfText", 2]
CUT = [
    "length",
    "max_tokens",
    "model_length",
    "MAX_TOKENS",
    "max_new_tokens",
    "token_limit",
    "incomplete",
    "max_length",
]
WITHHELD = ["content_filter", "safety", "SAFETY", "refusal", "RECITATION", "prohibited_content", "error_toxic"]


@pytest.mark.parametrize("reason", [*ENDED, *CUT, *WITHHELD])
def test_how_an_answer_ended_is_read_by_its_meaning(reason: Any) -> None:
    found = asked(said("Boats.", reason))
    assert (found.text, found.finished) == (("", False) if reason in WITHHELD else ("Boats.", reason in ENDED))
    assert (str(reason).lower() in found.error) == (reason in WITHHELD)


def test_an_ending_that_is_not_told_follows_from_the_length() -> None:
    assert asked(said("Boats.", None) | {"usage": {"completion_tokens": 3}}).finished
    assert not asked(said("Boats.", None) | {"usage": {"completion_tokens": 32}}).finished
    assert asked({"choices": [{"message": {"content": "Boats."}}]}).finished
    assert asked(said("Boats.", {"type": "stop", "matched": 2})).finished


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nScore: 2 at first.\n</think>\n\nBoats.",
        "<thinking>No.</thinking>Boats.",
        "[THINK]Let me see.[/THINK]Boats.",
        "It asks for boats.\nSo.\n</think>\n\nBoats.",
        "◁think▷What now?◁/think▷ Boats.",
        "  <reasoning>one\ntwo</reasoning>\nBoats.",
        [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Boats."}],
        [{"type": "text", "text": "Boa"}, {"type": "output_text", "text": "ts."}],
        {"type": "text", "text": "Boats."},
        ["Boa", "ts."],
    ],
)
def test_the_text_is_what_is_no_reasoning(text: Any) -> None:
    assert asked(said(text)).text == "Boats."


def test_a_tag_that_an_answer_speaks_of_stays() -> None:
    for text in ("What does the </think> tag end?", "Explain <think> in a template.", "Is <b>think</b> bold?"):
        assert asked(said(text)).text == text


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"content": None}, "holds no text"),
        ({"content": ""}, "holds no text"),
        ({"content": " \n"}, "holds no text"),
        ({}, "holds no text"),
        ({"content": []}, "holds no text"),
        ({"content": None, "refusal": "I cannot help with harbours."}, "I cannot help with harbours."),
        ({"content": "", "reasoning_content": "Let me think of boats"}, "a reasoning and no answer"),
        ({"content": None, "reasoning": "Let me"}, "a reasoning and no answer"),
        ({"content": "<think>Boats, or"}, "a reasoning and no answer"),
        ({"content": None, "tool_calls": [{"id": "a", "function": {"name": "look"}}]}, "called a tool"),
        ({"content": None, "function_call": {"name": "look"}}, "called a tool"),
    ],
)
def test_an_answer_without_text_says_why(message: Body, why: str) -> None:
    found = asked({"choices": [{"message": message, "finish_reason": "length"}]})
    assert (found.text, found.finished) == ("", False) and why in found.error


def test_an_event_stream_that_was_not_asked_for_is_put_together() -> None:
    pieces = [
        {"choices": [{"delta": {"role": "assistant", "content": "Bo"}, "finish_reason": None}]},
        {"choices": [{"delta": {"content": "ats."}}]},
        {"choices": [{"delta": {}, "finish_reason": "eos"}]},
        {"choices": [], "usage": {"completion_tokens": 7}},
    ]
    text = ": ping\n\n" + "".join(f"data: {json.dumps(one)}\n\n" for one in pieces) + "data: [DONE]\n\n"
    for sent in (text, text.replace("\n", "\r\n"), "event: message\n" + text, "\ufeff" + text):
        assert asked(sent.encode()) == Completion("Boats.", 7, True)


@pytest.mark.parametrize("usage", [None, [], "8", {"completion_tokens": None}, {"completion_tokens": -3}, 7, True])
def test_usage_of_any_type_is_borne(usage: Any) -> None:
    assert asked(said("Boats.") | {"usage": usage}) == Completion("Boats.", 2, True)


@pytest.mark.parametrize("usage", ["9", 9, 9.0])
def test_usage_that_can_be_read_is(usage: Any) -> None:
    assert asked(said("Boats.") | {"usage": {"completion_tokens": usage}}).tokens == 9


def pairs(mark: str = " ", value: Any = math.log) -> list[tuple[str, Any]]:
    return [(f"{mark}{level}", value(share)) for level, share in enumerate(SHARES, 1)]


def listed(entries: list[tuple[str, Any]], chosen: str | None = None, own: Any = -0.5108) -> Body:
    top = [{"token": token, "logprob": value, "bytes": None} for token, value in entries]
    token = chosen or next(name for name, _ in entries if name.endswith("4"))
    return said("Score: 4", logprobs={"content": [{"token": token, "logprob": own, "top_logprobs": top}]})


def scored(body: Any) -> tuple[float | None, list[str]]:
    """Return score and raw text of a judgement that is read from this body."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()

    def odd(path: str, payload: Body, number: int) -> Reply:
        return reply(listed(pairs())) if asks_plainly(payload) else (200, {}, sent)

    pair = Candidate("c", exchange("Why?", "Because."), Provenance(language="en"), [], "", "", 0)
    with OddServer(odd) as server:
        (found,) = rubric.SCORER.judge(engine(server), "odd", Score(), [pair], 0)
    return found.score, found.raw


ODD_NUMBERS: list[Any] = [math.nan, "x", True, [], {}, 0.0, 3, "", "1e999"]
FULL = [(chr(0xFF10 + level), math.log(share)) for level, share in enumerate(SHARES, 1)]
TWICE = [(f"{mark}{level}", math.log(share / 2)) for mark in (" ", "") for level, share in enumerate(SHARES, 1)]
BYTES = [{"token": "", "bytes": [32, 48 + n], "logprob": math.log(share)} for n, share in enumerate(SHARES, 1)]
OLD = {"tokens": [" 4"], "token_logprobs": [math.log(0.6)], "top_logprobs": [dict(pairs("Ġ"))]}
DICT = {"content": [{"token": "4", "logprob": math.log(0.6), "top_logprobs": dict(pairs("▁"))}]}


@pytest.mark.parametrize(
    "body",
    [
        *(listed(pairs(mark)) for mark in (" ", "", "Ġ", "▁", "\u00a0", "**", "\n", "ĠĠ")),
        listed(pairs("Ġ"), chosen=" 4"),
        listed(pairs("▁"), chosen="4"),
        listed(FULL, chosen="４"),
        listed(TWICE),
        listed([(f"<0x3{level}>", math.log(share)) for level, share in enumerate(SHARES, 1)], chosen="4"),
        listed(pairs(" ", lambda share: str(math.log(share)))),
        listed([*pairs(), ("x", None), ("y", -9999.0), ("z", "?")]),
        listed(pairs() + pairs()),
        said("4", logprobs={"content": [{"token": "4", "logprob": math.log(0.6), "top_logprobs": BYTES}]}),
        said("4", logprobs=OLD),
        said("4", logprobs=DICT),
        said("4", logprobs=DICT["content"]),
    ],
)
def test_digits_are_read_in_every_spelling(body: Body) -> None:
    score, raw = scored(body)
    assert score == pytest.approx(EXPECTED, abs=1e-6) and raw == []


def test_a_probability_of_nought_is_nought() -> None:
    rest = sum(level * share for level, share in enumerate(SHARES, 1) if level < 5) / sum(SHARES[:4])
    for nought in (None, -math.inf, -9999.0, "-inf", "-Infinity", -1e308):
        assert scored(listed([*pairs()[:4], (" 5", nought)]))[0] == pytest.approx(rest, abs=1e-6)


def test_the_chosen_digit_counts_by_itself_where_the_list_lacks_it() -> None:
    score, _ = scored(listed([("x", -0.5), ("y", -2.0)], chosen=" 4", own=math.log(0.999)))
    assert score is not None and score == pytest.approx(4, abs=0.05)
    assert scored(listed([], chosen=" 5", own=math.log(0.999)))[0] == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize(
    "body",
    [
        listed([("x", -0.5)], chosen=" 4", own=None),
        listed([(f"?{level}?!", None) for level in range(1, 6)], chosen=" 4", own=-9999.0),
        *(
            listed([(f" {level}", nought) for level in range(1, 6)], own=nought)
            for nought in (None, -math.inf, -9999.0)
        ),
        *(listed([(f" {level}", odd) for level in range(1, 6)], own=odd) for odd in ODD_NUMBERS),
        listed([], chosen=" 4", own="?"),
        listed([("3", math.log(0.3))], chosen=" 4", own=math.log(0.8)),
        said("Good.", logprobs={"content": [{"token": "Good", "logprob": -0.1, "top_logprobs": []}]}),
        said(None, "length", logprobs={"content": []}),
        said("4", logprobs=None),
        said("4", "content_filter", logprobs=None),
        {"choices": []},
        b"no JSON at all",
    ],
)
def test_what_tells_no_probability_gives_no_score_and_says_why(body: Any) -> None:
    try:
        score, raw = scored(body)
    except Exception as error:  # noqa: BLE001
        assert type(error).__name__ == "InputError", error
    else:
        assert score is None and len(raw) == 1 and raw[0].startswith("no score: ") and len(raw[0]) > 20


def test_a_row_without_an_answer_says_why() -> None:
    row = Unanswered(3, "because")
    assert len(row) == 3 and all(map(math.isnan, row)) and row.reason == "because"
