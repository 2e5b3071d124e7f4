"""Every kind of damage does what it says and nothing else, always the same way."""

from random import Random

import pytest

from askback.curate.damage import BLOG_CLOSINGS, BLOG_OPENINGS, FURNITURE, KINDS, Pair, sentences

OUTPUT = (
    "First boil the water in a pan. Then add the salt, and stir it well until it is gone.\n"
    "Put the pasta in and wait for nine minutes. Taste it before you take it out. Serve it hot."
)
PAIR = Pair("How do I cook pasta?", OUTPUT)
OTHER = Pair(
    "Who was Ada?", "She was a mathematician. She wrote about an engine. She lived in London. People read her."
)


def damaged(kind: str, seed: int = 0, pair: Pair = PAIR, wording: int = 0) -> Pair:
    found = KINDS[kind][0](pair, OTHER, Random(seed), wording)
    assert found is not None and found != pair
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_damage(kind: str) -> None:
    for seed in range(20):
        assert damaged(kind, seed) == damaged(kind, seed)
        assert kind == "swapped" or damaged(kind, seed).instruction == PAIR.instruction


def test_swapped_takes_one_side_of_another_pair() -> None:
    found = {damaged("swapped", seed) for seed in range(20)}
    assert found == {Pair(PAIR.instruction, OTHER.output), Pair(OTHER.instruction, PAIR.output)}


def test_truncated_ends_inside_a_sentence() -> None:
    for seed in range(50):
        output = damaged("truncated", seed).output
        assert OUTPUT.startswith(output) and output[-1].isalnum() and OUTPUT[len(output) :].lstrip()[0].islower()
        assert len(OUTPUT) / 3 <= len(output) <= 0.9 * len(OUTPUT)


@pytest.mark.parametrize("wording", [0, 1])
def test_furniture_is_lines_put_between_those_of_the_output(wording: int) -> None:
    for seed in range(50):
        lines = damaged("furniture", seed, wording=wording).output.split("\n")
        assert [line for line in lines if line not in FURNITURE[wording]] == OUTPUT.split("\n")
        assert 2 <= len(lines) - 2 <= 5


def test_what_is_taught_and_what_is_tried_share_no_words_put_in() -> None:
    for taught, tried in (FURNITURE, BLOG_OPENINGS, BLOG_CLOSINGS):
        assert not set(taught) & set(tried)


def test_shuffled_repeated_and_off_topic_are_made_of_the_sentences() -> None:
    own, foreign = sentences(OUTPUT)[0], sentences(OTHER.output)[0]
    assert len(own) == 5
    for seed in range(50):
        order, gaps = sentences(damaged("shuffled", seed).output)
        assert gaps == sentences(OUTPUT)[1], "the layout tells of the damage"
        assert sorted(order) == sorted(own) and order != own
        again = sentences(damaged("repeated", seed).output)[0]
        assert set(again) == set(own) and 4 <= len(again) - len(own) <= 6
        mixed = sentences(damaged("off-topic", seed).output)[0]
        assert mixed[0] == own[0] and mixed[-1] == foreign[-1] and len([one for one in mixed if one in own]) < len(own)


def test_blog_holds_the_whole_output() -> None:
    assert f"\n\n{OUTPUT}\n\n" in damaged("blog").output


@pytest.mark.parametrize("kind", ["truncated", "shuffled", "off-topic", "repeated"])
def test_what_is_too_short_is_not_damaged(kind: str) -> None:
    assert KINDS[kind][0](Pair("Is it?", "Yes."), OTHER, Random(0), 0) is None
    assert KINDS["swapped"][0](PAIR, PAIR, Random(0), 0) is None
