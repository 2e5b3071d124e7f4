"""Damaged documents that teach the backward model to say that no instruction fits (after MAmmoTH2, method.md 4)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from askback.prompts import NO_INSTRUCTION
from askback.records import Example, draw, exchange, record_id
from askback.text.words import in_a_row, join, pieces

MIN_WORDS = 40
"""Smallest number of words of an output that is damaged: in a shorter one, damage is hard to recognise."""
LINK_WORDS = 3
FURNITURE = "Home Menu Search Share Print Login Register Subscribe Next Previous Top Contact Cookies Accept".split()
"""Words of menus and buttons, as in the boilerplate of pages."""


def refusals(examples: Sequence[Example], share: float, random_seed: int) -> list[Example]:
    """Return damaged copies of some examples, each answered with `prompts.NO_INSTRUCTION`; a pure function.

    Their number is `share` of the examples, rounded up; they are drawn by id among those of `MIN_WORDS` words or more, and
    the kinds of `DAMAGES` take turns. The undamaged examples stay, so that the model learns what damage is.
    """
    long = [example for example in examples if len(parts := pieces(example.output)) >= in_a_row(parts, MIN_WORDS)]
    drawn = sorted(long, key=lambda example: draw(random_seed, "refusal", example.id))
    count = math.ceil(share * len(examples))
    return [
        replace(
            example,
            id=record_id(example.id, "refusal"),
            messages=exchange(
                NO_INSTRUCTION, DAMAGES[number % len(DAMAGES)](pieces(example.output), random_seed, example.id)
            ),
        )
        for number, example in enumerate(drawn[:count])
    ]


def fragment(words: list[str], random_seed: int, id: str) -> str:
    """Return a twentieth of the text, at least 5 words, from its middle: it begins and ends in mid-sentence."""
    length = max(5, len(words) // 20)
    start = 1 + draw(random_seed, "start", id) % (len(words) - length - 1)
    return join(words[start : start + length])


def shuffled(words: list[str], random_seed: int, id: str) -> str:
    """Return the words in disorder."""
    order = sorted(range(len(words)), key=lambda at: draw(random_seed, "order", id, at))
    return join([words[at] for at in order])


def links(words: list[str], random_seed: int, id: str) -> str:
    """Return a list of link-like titles of a few words of the text each."""
    titles = [join(words[at : at + LINK_WORDS]).title() for at in range(0, len(words), 4 * LINK_WORDS)]
    return "\n".join(f"- {title}" for title in titles)


def furniture(words: list[str], random_seed: int, id: str) -> str:
    """Return navigation alone: words of menus and buttons, with single words of the text between them."""
    order = sorted(range(3 * len(FURNITURE)), key=lambda at: draw(random_seed, "menu", id, at))
    menu = [FURNITURE[at % len(FURNITURE)] for at in order]
    return "\n".join(" | ".join([*menu[at : at + 6], words[at].title()]) for at in range(0, len(menu), 6))


DAMAGES: tuple[Callable[[list[str], int, str], str], ...] = (fragment, shuffled, links, furniture)
