"""Self-Instruct's rule over spaCy's parse. Without spaCy and an English model, only the rules are there."""

import json
from pathlib import Path

import pytest

from askback.evaluate.options import Describing
from askback.evaluate.parsed_verbs import parsed, parser
from askback.evaluate.verbs import count_verbs
from askback.studies.description import describe_set, find_verbs, sources
from tests.test_describe import pair

needed = pytest.mark.skipif(not parser(), reason="no spaCy with an en_core_web model is installed")


@needed
def test_pairs() -> None:
    expected = {
        "Write a short story about a dragon.": ("write", "story"),
        "Wrote it twice? Then list the capital cities of Europe.": None,
        "List the capital cities of Europe. Then explain the list.": ("list", "city"),
        "Could you please give me three ideas for dinner?": ("give", "idea"),
        "Translate these sentences into French": ("translate", "sentence"),
        "What is the capital of France?": None,
        "Explain how photosynthesis works": None,
        "": None,
        " \n ": None,
    }
    assert dict(zip(expected, parsed(parser(), expected), strict=True)) == expected


@needed
def test_a_set_says_what_found_its_verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [pair(n, text) for n, text in enumerate(["Write a story.", "Could you write a poem?", "Why so?"])]
    found = describe_set(list(pairs), Describing())["verbs"]
    assert found["by"] == parser() and found["by"].startswith("en_core_web_")
    assert found["coverage"] == pytest.approx(2 / 3) and found["top"] == [("write", 2, [("poem", 1), ("story", 1)])]
    assert sources(Describing()) == {"verbs": parser()}, "another parser is another result"
    monkeypatch.setattr("askback.studies.description.parser", lambda: "")
    assert describe_set(list(pairs), Describing())["verbs"]["by"] == "rules" and sources(Describing()) == {}


@needed
def test_real_instructions_are_found_more_often_than_by_rules(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Self-Instruct's own 252 are mostly requests; the rules know verbs that open one, the parser any verb."""
    lines = (shared_data / "eval/self_instruct_user_oriented_252.jsonl").read_text("utf-8").splitlines()
    asked = [json.loads(line)["instruction"] for line in lines]
    by_parser = count_verbs(*find_verbs(asked))
    monkeypatch.setattr("askback.studies.description.parser", lambda: "")
    by_rules = count_verbs(*find_verbs(asked))
    assert 0.4 < by_rules.coverage < by_parser.coverage < 0.9
    assert {verb for verb, _, _ in by_parser.top[:8]} & {verb for verb, _, _ in by_rules.top[:8]} >= {"write"}
