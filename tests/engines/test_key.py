"""A key is checked before it is sent, and nothing that a server says repeats it, however it is spelt."""

import base64
import html
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from askback.engines import guard
from askback.engines.http.key import Scrubber, read_key
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.protocol import Sampling
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions
from tests.engines.oddities import OddServer, Reply, reply, said
from tests.engines.served import Body

KEY = "sk-pl/an+ted=0123456789"
NAME = "PLANTED"


@pytest.mark.parametrize("around", ["%s\n", "%s\r\n", "\t%s ", '"%s"', "'%s'\n", "\ufeff%s", "%s\u00a0", "Bearer %s"])
def test_what_stands_around_a_key_is_taken_off(around: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, around % KEY)
    with OddServer(lambda *_: reply(said("yes."))) as server:
        OpenAIHttp("", EngineOptions(kind="openai_http", url=server.url, model="odd", api_key_env=NAME))
    assert server.keys == {f"Bearer {KEY}"}


@pytest.mark.parametrize("odd", ["é", "\n", "\t", " ", "\x7f", "\x01", "“", "漢", "\ud83d", "\u200b"], ids=ascii)
def test_what_is_no_key_is_refused_in_a_line_that_names_its_variable(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {NAME: f"sk-plan{odd}ted-0123456789"})
    with pytest.raises(InputError, match=f"{NAME} is no key: its character 8") as found:
        read_key(NAME)
    assert "sk-plan" not in str(found.value) and "0123" not in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize("empty", ["", " ", "\n", '""', "Bearer "])
def test_an_empty_key_is_none(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, empty)
    with pytest.raises(InputError, match=f"{NAME} is not set"):
        read_key(NAME)


SPELLINGS = [
    KEY,
    KEY.upper(),
    KEY[::-1],
    KEY.replace("/", "\\/"),
    "".join(f"\\u{ord(character):04x}" for character in KEY),
    KEY.replace("s", "\\u0073").replace("/", "\\u002F"),
    quote(KEY, safe=""),
    quote(quote(KEY, safe=""), safe=""),
    html.escape(KEY).replace("/", "&#47;").replace("=", "&#x3D;"),
    "".join(f"\\x{ord(character):02x}" for character in KEY),
    f"{KEY[:9]}\n{KEY[9:]}",
    " ".join(KEY),
    KEY[:5] + "\u200b" + KEY[5:],
    KEY[:7] + "\\n" + KEY[7:],
    KEY.encode().hex(),
    KEY.encode().hex().upper(),
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    base64.urlsafe_b64encode(f"user:{KEY}".encode()).decode(),
]


@pytest.mark.parametrize("spelt", SPELLINGS, ids=range(len(SPELLINGS)))
def test_no_spelling_of_the_key_is_kept_or_told(
    spelt: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(NAME, KEY)
    monkeypatch.setattr("askback.engines.http.endpoint.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("askback.engines.http.endpoint.PATIENCE", 0.02)
    status = 200

    def odd(path: str, payload: Body, number: int) -> Reply:
        if status != 200:
            return reply({"error": {"message": f"who is {spelt}?", "code": spelt, "type": f"<{spelt}>"}}, status)
        return reply(said(f"Is it {spelt} or not?", reasoning_content=spelt))

    with OddServer(odd) as server:
        options = EngineOptions(kind="openai_http", url=server.url, model="odd", api_key_env=NAME, retries=0)
        worker = WorkerContext()
        engine = OpenAIHttp("", options, worker=worker)
        with pytest.raises(KeyError), worker.keeping(tmp_path / "asked"):
            (answer,) = engine.generate([ask("Which?")], Sampling(0, 1, 16), [0])
            raise KeyError
        told = [answer.text, (tmp_path / "asked").read_text(), json.loads((tmp_path / "asked").read_text())[1]["text"]]
        for status in (400, 401, 402, 403, 429, 500):  # noqa: B007 - the server's
            with pytest.raises(InputError) as found:
                OpenAIHttp("", options)
            told.append(str(found.value))
        told.append(caplog.text)
    assert answer.text.startswith("Is it ") and "***" in answer.text
    for text in told:
        for part in (spelt, spelt[3:-3], json.dumps(spelt)[1:-1], KEY, KEY[3:-3]):
            assert part not in text, text


def test_a_part_of_the_key_is_not_told_either() -> None:
    scrub = Scrubber(KEY)
    for part in (f"{KEY[:8]}****{KEY[-4:]}", KEY[:-2], KEY[4:], f"key={KEY[:10]}…"):
        assert not any(KEY[at : at + 6] in scrub.message(f"Incorrect key: {part}, try") for at in range(len(KEY) - 5))
    assert scrub.text("An answer about sk- keys stays as it is.") == "An answer about sk- keys stays as it is."


def test_a_placeholder_is_a_word() -> None:
    assert Scrubber("EMPTY").value({"a": ["EMPTY or none"]}) == {"a": ["EMPTY or none"]}
    assert Scrubber("").message("all is well") == "all is well"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_what_a_vllm_of_ours_prints_is_kept_without_its_key(size: int) -> None:
    """However it comes in pieces."""
    code = (
        'import os, sys\ntext = f\'the key is {os.environ["VLLM_API_KEY"]} and\\n{os.environ["VLLM_API_KEY"]}\\r50 %\'\n'
        f"for at in range(0, len(text), {size}):\n    os.write(1 + at % 2, text[at : at + {size}].encode())"
    )
    command = [sys.executable, guard.__file__, sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"VLLM_API_KEY": KEY}) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"the key is *** and\n***\r50 %"


@pytest.mark.parametrize("option", ["--api-key", "--api-key=x", "--api_key", "-api-key"])
def test_a_key_among_the_arguments_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match="they hold no key"):
        EngineOptions(kind="vllm_server", arguments=(option, "x"))
