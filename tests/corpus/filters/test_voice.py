"""REInstruct's style rules and the voice of personal experience, each at its limit."""

import pytest

from askback.corpus.filters.voice import capitalised, personal, reinstruct_style
from askback.text.verbs import gerund
from tests.corpus.filters.conftest import Given

VERBS = ["Mix", "Pour", "Bake", "Cool", "Serve", "Store", "Cut", "Wash", "Peel", "Chop", "Stir"]


def how_to(openings: list[str], more: str = "") -> str:
    """A title line, then a line for each opening."""
    return "\n".join(
        ["How it is done", *(f"{word} it until it is right." for word in openings), *([more] if more else [])]
    )


def style(text: str, given: Given) -> str | None:
    return reinstruct_style(text, given(reinstruct_style=True))


@pytest.mark.parametrize(
    "text",
    [
        how_to(VERBS[:4]),
        how_to(VERBS[:10]),
        how_to([gerund(verb.lower()).title() for verb in VERBS[:4]]),
        how_to(VERBS[:4], "Then rest."),  # 5 breaks, 4 verbs: fewer than 6
        how_to([*VERBS[:4], "Mix"]),  # one repeat
        how_to(VERBS[:4]).replace("\n", "\n\n1. "),
        "## " + how_to(VERBS[:4]).replace("\n", "\n\n### ", 1),
        how_to(VERBS[:4], "The 1. of 2020 had 12 or 13 eggs, A to I."),  # the original would count 5 capitals here
        how_to(VERBS[:4], "Use an OK NASA part?"),
        how_to(VERBS[:4], "So he said he would."),
    ],
)
def test_how_tos_pass(text: str, given: Given) -> None:
    assert style(text, given) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (how_to(VERBS[:3]), "3 lines open with a verb and 0 with an -ing form, 4 to 10 of either wanted"),
        (how_to(VERBS), "11 lines open with a verb and 0 with an -ing form, 4 to 10 of either wanted"),
        (how_to([*VERBS[:4], "One", "Two"]), "6 line breaks and 4 lines that open with a verb, fewer than 6 wanted"),
        (how_to([*VERBS[:4], "Mix", "Mix"]), "2 lines open with a word of another, at most 1 wanted"),
        (how_to(VERBS[:4], "And more… "), "holds '…', none wanted"),
        (how_to(VERBS[:4], "And so on..."), "holds '...', none wanted"),
        *[(how_to(VERBS[:4], f"Salt {mark} oil."), f"holds {mark!r}, none wanted") for mark in "™®@#&*"],
        (how_to(VERBS[:4], "We think our guests, I’ve heard, like it."), "3 pronouns, at most 2 wanted"),
        (how_to(VERBS[:4], "Ready? Sure?"), "2 question marks, at most 1 wanted"),
        (how_to(VERBS[:4], "NASA, (OK) and B2B."), "3 words in capitals, at most 2 wanted"),
    ],
)
def test_what_is_no_how_to(text: str, said: str, given: Given) -> None:
    assert style(text, given) == said
    assert reinstruct_style(text, given()) is None


@pytest.mark.parametrize(
    ("token", "yes"), [("NASA", True), ("(B2B),", True), ("A", False), ("A.", False), ("1.", False), ("2020", False)]
)
def test_what_is_capitalised(token: str, yes: bool) -> None:
    assert capitalised(token) is yes


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        *(("make", "making"), ("tie", "tying"), ("cut", "cutting"), ("agree", "agreeing"), ("read", "reading")),
        *(
            ("quit", "quitting"),
            ("fix", "fixing"),
            ("draw", "drawing"),
            ("submit", "submitting"),
            ("visit", "visiting"),
        ),
        *(("wrap", "wrapping"), ("help", "helping"), ("dye", "dyeing"), ("open", "opening"), ("begin", "beginning")),
    ],
)
def test_gerunds(verb: str, form: str) -> None:
    assert gerund(verb) == form


def test_personal_voice_at_its_limit(given: Given) -> None:
    text = "I went there. It was open. The door is red. They sell bread."  # 1 of 4 sentences
    assert personal(text, given(max_personal_share=0.25)) is None
    said = "25.0% of the sentences speak of their author, at most 24.0% wanted"
    assert personal(text, given(max_personal_share=0.24)) == said
    assert personal(text, given()) is None


@pytest.mark.parametrize(
    ("sentence", "spoken"),
    [
        ("I've been there.", True),
        ("My dog barks.", True),
        ("They gave it to me.", True),
        ("World War I. It ended.", False),
        ("Type I, Type II.", False),
        ("“I know my way,” she said.", False),
        ('She said "trust me" and left.', False),
        ("- I made this", True),
        ("```\nI made this\n```\nIt runs.", False),
        ("We meet again.", False),
        ("The mine is deep.", False),
    ],
)
def test_who_speaks(sentence: str, spoken: bool, given: Given) -> None:
    assert (personal(sentence, given(max_personal_share=0)) is not None) is spoken
