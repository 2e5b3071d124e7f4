"""Parsing a score from text, for engines without log-probabilities."""

import re

_SCORE = re.compile(
    r"""
    (?<![^\W_]) (?:score|得分) [*_]{0,3}        # the word itself, not a part of one
    \s{0,3} (?:\([^()\n]{0,20}\))? [*_]{0,3}    # "(1-5)"
    \s{0,3} [:：] [\s*_<\["'`(]{0,8}
    (?P<score>[0-9]{1,4}(?:\.[0-9]{1,4})?)
    (?!\w|[.,:][0-9]|\s{0,3}(?:[-–~]|to\b|or\b)\s{0,3}[0-9])  # not a longer number, a time, a range
    [*_>\]"'`)]{0,8}
    (?:\s{0,3}(?:/|out\ of\b)\s{0,3}(?P<most>[0-9]{1,4})(?!\w|[./][0-9]))?
    (?!\s{0,3}(?:/|out\ of\b))
    """,
    re.VERBOSE | re.IGNORECASE,
)


def parse(text: str, least: float, most: float) -> float | None:
    """Return the last well-formed score in `text` that is on the scale from `least` to `most`, else None.

    A well-formed score is the word, a colon and one number, with any decoration, that is no part of a range or of a
    fraction of something other than `most`. The last one counts, as a reasoning may mention other scores first. Unlike
    in peers' parsers, no other number in the text counts. Takes time linear in the text.
    """
    found = None
    for match in _SCORE.finditer(text):
        score = float(match["score"])
        if least <= score <= most and (match["most"] is None or float(match["most"]) == most):
            found = score
    return found
