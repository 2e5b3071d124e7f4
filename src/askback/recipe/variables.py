"""Environment variables in a recipe: their values are used, and no file that is kept holds them, but ``${NAME}`` instead.

A training by several processes has them in its job (train/launch.py), which is removed when the training ends.

Worker processes get the names of the variables, as their values, through the environment.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^{}]*))?\}")
HIDDEN = "ASKBACK_HIDDEN"
"""Environment variable that holds, for worker processes, the names of the variables that recipes use."""
OWN, NAMES = re.compile(r"[\w-]+", re.ASCII), ("step", "function")
"""What is askback's own in a record of a run: keys of this form, as those of data hold a path, and the values of these."""
SHORTEST = 4
"""Number of characters from which on a value is replaced in any text; a shorter one is hidden in the recipe alone."""


def fill(text: str, missing: list[str]) -> str:
    """Return a text with ``${NAME}`` and ``${NAME:-default}`` filled in; collect names that are not set."""

    def value_of(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        value = os.environ.get(name)
        if value is None and default is None:
            missing.append(name)
            return match[0]
        if value is not None:
            os.environ[HIDDEN] = ",".join(sorted({*_names(), name}))
        return default if value is None else value

    return VARIABLE.sub(value_of, text)


def hide(text: str) -> str:
    """Return a text with ``${NAME}`` in place of each variable's value, in any of its spellings."""
    for name in _names():
        for spelled in _spellings(os.environ.get(name, "")):
            if spelled in text:
                text = text.replace(spelled, f"${{{name}}}")
    return text


def hide_in(tree: Any) -> Any:
    """Return nested plain values with `hide` applied to every text, but to askback's own words: keys that are plain words,
    and the names of step and function."""
    if not _names():
        return tree
    if isinstance(tree, dict):
        return {
            key if OWN.fullmatch(str(key)) else hide_in(key): value if key in NAMES else hide_in(value)
            for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [hide_in(value) for value in tree]
    return hide(tree) if isinstance(tree, str) else tree


def marks(text: str) -> dict[str, str]:
    """Return name → hash of each variable whose value a text holds: texts with other values differ, yet show none."""
    held = [name for name in _names() if any(one in text for one in _spellings(os.environ.get(name, "")))]
    return {name: hashlib.sha256(os.environ[name].encode("utf-8", "surrogateescape")).hexdigest()[:8] for name in held}


def any_hidden() -> bool:
    """Return whether a recipe of this process, or of the one that started it, has a value from the environment."""
    return bool(_names())


def _names() -> list[str]:
    return [name for name in os.environ.get(HIDDEN, "").split(",") if name]


def _spellings(value: str) -> Iterator[str]:
    """Yield the spellings of a value in text, JSON, Python and URLs, the longest first."""
    plain = value.encode("utf-8", "replace").decode("utf-8")
    ways = {value, plain, quote(plain), quote(plain, safe=""), quote_plus(plain), repr(value)[1:-1]}
    ways |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], " ".join(value.split())}
    return iter(sorted((way for way in ways if len(way) >= SHORTEST), key=len, reverse=True))
