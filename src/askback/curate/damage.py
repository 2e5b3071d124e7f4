"""Controlled damage to a good pair, which a judge has to rate lower than the pair; each kind is a plain function.

Self-Rewarding Language Models (method.md 4.1) shows that a judge needs training data of its own; it made them with human
rankings and a 70B model. Pairs that people wrote, and damage of a known degree, need neither.
"""

import re
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import regex

from askback.text.endings import FINAL, PHRASE_SPACE


class Pair(NamedTuple):
    """An instruction and an output."""

    instruction: str
    output: str


Damage = Callable[[Pair, Pair, Random, int], Pair | None]
"""``damage(pair, other, random, wording)``: the damaged pair, or None if the pair is too short for this damage.

`other` is an unrelated pair. `wording`, 0 or 1, selects one of two sets of inserted words, so that a judge taught with one
set can be tested with the other.
"""

_STOPS = "".join(FINAL).replace(".!?", "")
_CLOSING = "」』”’）"
_BREAK = re.compile(
    rf"((?<=[.!?])[ \t]+(?=\S)|(?:(?<=[{_STOPS}])|(?<=[{_STOPS}][{_CLOSING}]))[ \t]*(?=[^\s{_STOPS}{_CLOSING}])"
    rf"|{PHRASE_SPACE}|(?<!\s)\s*\n\s*)"
)
"""The border of two sentences: white space, or nothing after a full stop of Chinese and similar scripts."""
_INSIDE = regex.compile(
    r"[\p{L}\p{M}\p{N}_](?:(?=\s+[\p{Ll}\p{Lo}])|(?=[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=Complex_Context}]))"
)
"""The last letter of a word that another one of the same sentence follows, one without a capital."""


def sentences(text: str) -> tuple[list[str], list[str]]:
    """Return the sentences and lines of a text, and the white space after each, "" after the last.

    Damage keeps the layout, so that a judge cannot recognise damage by it.
    """
    parts = _BREAK.split(text.strip())
    return parts[::2], [*parts[1::2], ""]


def swapped(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Give the instruction another pair's output, or the output another pair's instruction."""
    if pair.instruction == other.instruction or pair.output == other.output:
        return None
    swap_output = random.random() < 0.5
    return Pair(pair.instruction, other.output) if swap_output else Pair(other.instruction, pair.output)


def truncated(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Cut the output between a third and nine tenths of the way, in the middle of a sentence."""
    ends = [match.end() for match in _INSIDE.finditer(pair.output)]
    inside = [end for end in ends if len(pair.output) / 3 <= end <= len(pair.output) * 0.9]
    return Pair(pair.instruction, pair.output[: random.choice(inside)]) if inside else None


def furniture(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Put two to five lines of page furniture in front of the output, behind it, or between two of its lines."""
    lines = pair.output.split("\n")
    pieces = random.sample(FURNITURE[wording], random.randint(2, 5))
    places = [random.choice((0, len(lines), random.randint(0, len(lines)))) for _ in range(2)]
    for place, part in zip(sorted(places, reverse=True), (pieces[:2], pieces[2:]), strict=True):
        lines[place:place] = part
    return Pair(pair.instruction, "\n".join(lines))


def shuffled(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Put the sentences in another order, each in the place of another; four at least."""
    parts, gaps = sentences(pair.output)
    if len(set(parts)) < 4:
        return None
    order = parts[:]
    while order == parts:
        random.shuffle(order)
    return Pair(pair.instruction, "".join(part + gap for part, gap in zip(order, gaps, strict=True)))


def off_topic(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Go on from the first third to two thirds of the output with the end of another pair's; three sentences in each."""
    own, gaps = sentences(pair.output)
    foreign, foreign_gaps = sentences(other.output)
    if len(own) < 3 or len(foreign) < 3 or pair.output == other.output:
        return None
    kept = max(1, round(len(own) * random.uniform(0.34, 0.67)))
    taken = min(len(foreign), max(2, len(own) - kept))
    parts = [*zip(own, gaps, strict=True)][:kept] + [*zip(foreign, foreign_gaps, strict=True)][-taken:]
    return Pair(pair.instruction, "".join(part + gap for part, gap in parts))


def blog(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Wrap the output in the voice of somebody's blog."""
    opening, closing = random.choice(BLOG_OPENINGS[wording]), random.choice(BLOG_CLOSINGS[wording])
    return Pair(pair.instruction, f"{opening}\n\n{pair.output}\n\n{closing}")


def repeated(pair: Pair, other: Pair, random: Random, wording: int) -> Pair | None:
    """Say two sentences of the output again, twice or three times each; three at least."""
    parts, gaps = sentences(pair.output)
    if len(parts) < 3:
        return None
    spaced = list(zip(parts, [*gaps[:-1], gaps[0]], strict=True))
    for sentence in random.sample(spaced, 2):
        for _ in range(random.randint(2, 3)):
            spaced.insert(random.randint(spaced.index(sentence) + 1, len(spaced)), sentence)
    return Pair(pair.instruction, "".join(part + gap for part, gap in spaced).rstrip())


KINDS: dict[str, tuple[Damage, int]] = {
    "swapped": (swapped, 1),
    "truncated": (truncated, 2),
    "furniture": (furniture, 2),
    "shuffled": (shuffled, 2),
    "off-topic": (off_topic, 2),
    "blog": (blog, 3),
    "repeated": (repeated, 2),
}
"""Each kind of damage, with the level of the rubric that it is taught as. By the rubric a truncated text is a 1; here it is
a 2, as it still answers the instruction in part, which the answer to another question does not."""


FURNITURE = (
    (
        "Home > Guides > Articles",
        "We use cookies to improve your experience. Accept all | Manage preferences",
        "Share this: Facebook | Twitter | Pinterest | Email",
        "Subscribe to our newsletter for weekly tips!",
        "Related posts",
        "Skip to main content",
        "Log in or register to post comments",
        "Advertisement",
        "« Previous | Next »",
        "Posted in Uncategorized | 14 Comments",
        "Copyright 2019 All rights reserved. Privacy Policy | Terms of Use",
        "Print this page",
    ),
    (
        "Main menu   About   Shop   Blog   Contact us",
        "This site stores cookies on your device. Got it",
        "Tweet  Pin it  Share on LinkedIn  WhatsApp",
        "Enter your e-mail address to get updates in your inbox. Sign up",
        "You might also like",
        "Back to top",
        "Leave a reply. Your e-mail address will not be published.",
        "Sponsored content",
        "Page 2 of 7",
        "Filed under: Tips, How-to, News",
        "Site map - Accessibility - Legal notice - Careers",
        "Was this page helpful? Yes No",
        "Buy now and save 20 % - free delivery on orders over $35",
    ),
)
"""Boilerplate of web pages in our own words, in two sets that share no line."""

BLOG_OPENINGS = (
    (
        "Hi friends! Sorry I haven't posted in a while, my kids were ill and life got in the way.",
        "So last weekend I was sitting in my favourite café and I thought I'd finally write about this.",
        "As I told you in my last post, this is something I have been wanting to share with you all.",
    ),
    (
        "Hello again, dear readers! What a month it has been over here at our little cottage.",
        "Okay, I have to be honest with you, I never thought I would be blogging about this.",
        "My husband laughed when I said this would be today's topic, but here we go!",
    ),
)
BLOG_CLOSINGS = (
    (
        "Let me know in the comments what you think, I read every single one of them! xoxo",
        "Anyway, that's what worked for me. See you next week, and don't forget to follow me!",
    ),
    (
        "That's all from me for now; my coffee is getting cold. Tell me your own story below!",
        "What do you think, guys? I would love to hear from you. Until next time, hugs!",
    ),
)
