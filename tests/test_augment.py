"""What an instruction is drawn from: the segment in its marker, and a number of its own."""

from askback import prompts
from askback.records import DRAWS, draw

SEGMENT = (
    "Fold the letter in three so that the address shows, then seal it with wax and let it cool for a minute or two."
)


def test_a_draw_depends_on_its_arguments_alone_and_is_evenly_spread() -> None:
    assert draw(0, "a", 1) == draw(0, "a", 1) != draw(1, "a", 1)
    share = sum(draw(0, n) < 0.3 * DRAWS for n in range(5000)) / 5000
    assert 0.27 < share < 0.33


def test_the_prompt_shows_the_whole_segment_inside_its_marker() -> None:
    user = prompts.backward(SEGMENT).user
    assert SEGMENT in user and user.count(prompts.marker(SEGMENT)) == 2
