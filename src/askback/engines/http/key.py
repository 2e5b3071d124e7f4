"""A server's key: read from the environment, checked before it is sent, and removed from all answers.

It is recognised in the spellings of real servers, proxies and logs: in any case, with escapes of JSON, HTML or URLs for
some characters, broken by white space, reversed, in hexadecimal, and in base64, also as part of a longer text (the header
it is sent in, say).
"""

import base64
import os
import re
from typing import Any

from askback.errors import InputError

SHOWN = "***"
"""Stands for the key in texts."""
FEWEST = 6
"""Smallest number of characters of a key; a shorter one is a placeholder ("none", "EMPTY"), a plain word in answers."""
PART = 6
"""Number of consecutive characters of the key for which a message hides the word: servers often repeat a part of a key."""
_AROUND = " \t\r\n\f\v\ufeff\u200b\u00a0\u2060\"'`“”‘’"
"""White space and quotation marks that files, shells and web pages put around a key."""
_WORD = re.compile(r"[^\s\"'<>]+")
_BREAK = r"(?:[\s\u200b\u2060]|\\{1,4}(?:[nrt]|u200b|u2060)){0,4}"
"""Line breaks and spaces between two characters of a key, also as JSON escapes."""


def read_key(name: str) -> str:
    """Return the key in the environment variable `name`, without quotation marks around it; "" for no name.

    Raises:
        InputError: it is not set, empty, or has a character that a header cannot have. The message omits the key.
    """
    if not name:
        return ""
    found = os.environ.get(name, "").strip(_AROUND)
    found = re.sub(r"\Abearer(?:\s+|\Z)", "", found, flags=re.IGNORECASE).strip(_AROUND)
    if not found:
        raise InputError(f"api_key_env: the environment variable {name} is not set; set it to the server's key")
    for place, character in enumerate(found, 1):
        if not "!" <= character <= "~":
            kind = "white space" if character.isspace() else "a control character" if character < " " else "not ASCII"
            raise InputError(
                f"api_key_env: the environment variable {name} is no key: its character {place} of {len(found)} is "
                f"{kind}; a key is letters, digits and signs of ASCII without spaces"
            )
    return found


class Scrubber:
    """Removes a key from text and from decoded JSON."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._whole = re.compile("|".join(_spellings(key)), re.IGNORECASE) if len(key) >= FEWEST else None
        starts = range(len(key) - PART + 1)
        parts = "|".join(sorted({re.escape(key[at : at + PART]) for at in starts}))
        self._part = re.compile(parts) if parts else None

    def text(self, text: str) -> str:
        """Return text without the key."""
        return self._whole.sub(SHOWN, text) if self._whole else text

    def value(self, value: Any) -> Any:
        """Return a decoded JSON value with the key in none of its strings, names included."""
        if self._whole is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(one) for name, one in value.items()}
        return value

    def message(self, text: str, most: int = 300) -> str:
        """Return a server's message on one line of at most `most` characters, without the key or a part of it."""
        line = " ".join("".join(c if c.isprintable() else " " for c in self.text(text)).split())[: 4 * most]
        part = self._part
        return _WORD.sub(lambda word: SHOWN if part and part.search(word[0]) else word[0], line)[:most]


def _spellings(key: str) -> list[str]:
    """Return patterns of all spellings of the key."""
    raw = key.encode()
    found = [_BREAK.join(_character(c) for c in text) for text in (key, key[::-1])]
    found.append(re.escape(raw.hex()))
    for before in (b"", b"-", b"--"):  # the three alignments of its bits within a longer text
        coded = base64.b64encode(before + raw).decode().rstrip("=")
        inner = coded[len(before) + bool(before) : -1]  # without characters that depend on the neighbours
        if len(inner) >= FEWEST:
            found += [re.escape(inner), re.escape(inner.replace("+", "-").replace("/", "_"))]
    return found


def _character(character: str) -> str:
    code = ord(character)
    return (
        rf"(?:\\{{0,4}}{re.escape(character)}|\\{{1,4}}u00{code:02x}|\\{{1,4}}x{code:02x}|%(?:25)?{code:02x}"
        rf"|&#0{{0,4}}{code};|&#x0{{0,4}}{code:x};)"
    )
