"""Verbs that open instructions, and their forms."""

import re
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def verbs() -> tuple[frozenset[str], frozenset[str]]:
    """Return the verbs that open instructions, in base and -ing form; REInstruct's list is its own, this is ours."""
    base = (Path(__file__).parent / "verbs.txt").read_text("utf-8").split()
    return frozenset(base), frozenset(map(gerund, base))


_DOUBLED = re.compile(r"[^aeiou]*(?:qu)?[aeiou][bdgklmnprtvz]")


def gerund(verb: str) -> str:
    """Return the -ing form: making, tying, cutting, seeing."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    doubled = _DOUBLED.fullmatch(verb) or verb in ("begin", "submit", "commit", "refer", "prefer", "unplug", "format")
    return f"{verb}{verb[-1]}ing" if doubled else f"{verb}ing"
