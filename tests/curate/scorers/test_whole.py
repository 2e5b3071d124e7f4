"""The scorer that sees whether an output comes to an end, and the rule behind it."""

import pytest

from askback.curate.scorers import whole
from askback.engines.scripted import Scripted
from askback.recipe import EngineOptions, Score
from askback.records import Probe, Provenance, exchange
from askback.text.endings import breaks_off

ENDS = [
    "Boil the water, then add the pasta and cook it for nine minutes.",
    "It is the largest lake of the country (see the map above.)",
    "- flour\n- eggs\n- milk",
    "| a | b |\n| 1 | 2",
    "Paris",
    "他们在河边住了很多年，后来搬到了城里，再也没有回来过。",
]
BREAKS = [
    "Boil the water, then add the pasta and cook it for nine",
    "There are three reasons for this, and the first of them is,",
    "She opened the door and…",
    "What you need for it is listed here:",
]


@pytest.mark.parametrize("text", ENDS)
def test_a_text_that_comes_to_an_end(text: str) -> None:
    assert breaks_off(text) is None


@pytest.mark.parametrize("text", BREAKS)
def test_a_text_that_breaks_off(text: str) -> None:
    assert breaks_off(text) == text[-40:]


def test_the_judgement_shows_the_end() -> None:
    pairs = [
        Probe(str(n), exchange("Ask?", text), Provenance(), str(n), "true")
        for n, text in enumerate([ENDS[0], BREAKS[0]])
    ]
    good, bad = whole.SCORER.judge(
        Scripted("m", EngineOptions(kind="scripted")), "m", Score(scorers=["whole"]), pairs, 0
    )
    assert (good.score, good.raw) == (1.0, [])
    assert (bad.score, bad.raw) == (0.0, [BREAKS[0][-40:]])
