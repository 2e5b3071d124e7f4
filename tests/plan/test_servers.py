"""Servers are tried with what a run asks them, at its length, and have to answer with something of use."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from askback.errors import InputError, RecipeError
from askback.plan.servers import ask_servers
from askback.recipe import RecipeFile
from tests.commands import askback
from tests.engines.oddities import OddServer, Reply, reply, said
from tests.engines.served import Body, rating

LONG = 2000
"""Characters; the plain questions that are asked first are shorter."""


def recipe(server: OddServer, **recipe: Any) -> RecipeFile:
    engine = {"kind": "openai_http", "url": server.url, "model": "odd", "retries": 0}
    given = {"rounds": 1, "seed": {"sources": [{"path": "builtin:demo"}]}} | recipe
    return RecipeFile.model_validate(
        {
            "name": "run",
            "recipe": given | {"corpus": {"sources": [{"format": "text", "path": __file__}]}},
            "resources": {"engines": dict.fromkeys(("augment", "score", "compare"), engine)},
        }
    )


def well(path: str, payload: Body, number: int) -> Reply:
    return reply(rating(path, payload)[1])


def test_a_server_that_answers_is_asked_at_the_length_of_the_recipe() -> None:
    with OddServer(well) as server:
        found = ask_servers(recipe(server))
        longest = max(len(payload["messages"][0]["content"]) for payload in server.asked)
        drawn = [payload for payload in server.asked if payload.get("max_tokens") == 128]
    assert [offer.role for offer in found] == ["augment", "score"] and longest > 3000
    assert len(drawn) == 2 and all({"seed", "top_p", "temperature"} <= set(payload) for payload in drawn)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (said(None, "length"), 200, "holds no text"),
        (said("", "stop"), 200, "holds no text"),
        (said("<think>Well, let me see", "length"), 200, "a reasoning and no answer"),
        (said(None, "content_filter"), 200, "content_filter"),
        ({"error": {"message": "maximum context length is 256 tokens"}}, 400, "maximum context length is 256 tokens"),
        ({"error": {"message": "top up", "code": 402}}, 200, "top up"),
        ({"detail": "no such input"}, 422, "no such input"),
    ],
)
def test_one_that_fails_at_that_length_is_refused_with_its_words(body: Body, status: int, words: str) -> None:
    def odd(path: str, payload: Body, number: int) -> Reply:
        long = len(payload["messages"][0]["content"]) > LONG
        return reply(body, status) if long else well(path, payload, number)

    with OddServer(odd) as server, pytest.raises(InputError, match=words):
        ask_servers(recipe(server))


def test_a_judge_that_tells_no_score_is_refused_and_a_scorer_that_cannot_be_had() -> None:
    def odd(path: str, payload: Body, number: int) -> Reply:
        return reply(said("What a harbour it is!"))

    with OddServer(odd) as server:
        with pytest.raises(InputError, match=r"engines\.score: .*none in the text 'Score:What a harbour it is!'"):
            ask_servers(recipe(server))
        with pytest.raises(InputError, match=r"engines\.compare: .*What a harbour"):
            ask_servers(recipe(server), ("compare",))
        with pytest.raises(RecipeError, match="ifd"):
            ask_servers(recipe(server, score={"scorers": ["ifd"]}, select={"top_n": 9}), ("score",))


def test_plan_probe_repeats_a_refusals_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    message = "Unsupported value: 'seed' is not supported with this model."

    def odd(path: str, payload: Body, number: int) -> Reply:
        return reply({"error": {"message": message}}, 400) if "seed" in payload else well(path, payload, number)

    with OddServer(odd) as server:
        tree = recipe(server).model_dump(mode="json") | {"name": "run"}
        tree["resources"]["runs"] = str(tmp_path)
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
        command = ("plan", tmp_path / "recipe.yaml", "--probe")
        refused = askback(*command)
        assert refused.returncode == 3 and message in refused.stderr.splitlines()[-1], refused.stderr
        assert "leave_out: [seed]" in refused.stderr
        for role in ("augment", "score", "compare"):
            tree["resources"]["engines"][role]["leave_out"] = ["seed"]
        (tmp_path / "recipe.yaml").write_text(json.dumps(tree))
        askback(*command)
        assert "left out: seed" in caplog.text
