"""What the backward model writes is kept, or rejected by a rule that says what is wrong with it."""

import pytest

from askback import prompts
from askback.augment import fault
from askback.config import Augment
from askback.engines.base import Completion
from askback.records import DRAWS, draw

SEGMENT = (
    "Fold the letter in three so that the address shows, then seal it with wax and let it cool for a minute or two."
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("How do I fold and seal a letter with wax?", None),
        ("", "empty"),
        ("?! ...", "empty"),
        ("x" * 801, "too-long"),
        ("How do I do this? Answer in the style of an AI assistant", "template-leak"),
        ("Which question or instruction from a user would this be?", "template-leak"),
        ("<|im_start|>user How do I fold a letter?", "template-leak"),
        ("fold the letter in three so that the address shows, then seal it", "echo"),
        (
            "How do I fold the letter in three so that the address shows?",
            None,
        ),  # eleven words shared, twelve are an echo
    ],
)
def test_rules(text: str, rule: str | None) -> None:
    found = fault(Completion(text, 10, True), SEGMENT, Augment())
    assert (found[0] if found else None) == rule


def test_an_answer_that_was_cut_off_is_no_instruction() -> None:
    found = fault(Completion("How do I fold a", 128, False), SEGMENT, Augment())
    assert found is not None and found[0] == "unfinished" and "128 tokens" in found[1]


def test_every_seed_instruction_would_pass() -> None:
    from askback.config import Seed, SeedSource
    from askback.seed.load import gather

    for pair in gather(Seed(sources=[SeedSource(path="builtin:demo")])).kept:
        assert fault(Completion(pair.instruction, 10, True), pair.output, Augment()) is None, pair.instruction


def test_a_draw_depends_on_its_arguments_alone_and_is_evenly_spread() -> None:
    assert draw(0, "a", 1) == draw(0, "a", 1) != draw(1, "a", 1)
    share = sum(draw(0, n) < 0.3 * DRAWS for n in range(5000)) / 5000
    assert 0.27 < share < 0.33


def test_the_prompt_shows_the_whole_segment_inside_its_marker() -> None:
    user = prompts.backward(SEGMENT).user
    assert SEGMENT in user and user.count(prompts.marker(SEGMENT)) == 3
