"""Paragraphs that come back on page after page of a site: notices, calls to sign up, "about us" (ours).

The walk over a page leaves out what is marked as boilerplate; this finds what is not marked, by its repetition.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from askback.corpus import sorted_files
from askback.corpus.parts import paragraphs
from askback.corpus.sorted_files import Array, between, by_key, distinct, hash_ranges
from askback.inputs.remote import host
from askback.records import Segment, record_id
from askback.text.endings import width
from askback.text.words import normal

MIN_CHARS = 40
"""Shorter paragraphs ("Explain your answer.") are never boilerplate."""

_HEADER = re.compile(r"(#{1,6}) ")


class Boilerplate:
    """The paragraphs that stand on at least `boilerplate_pages` pages of one host, as far as pages have a host.

    Paragraphs are compared without case and with single spaces. Headers and code are not looked at. `found` holds their
    hashes, sorted; it may be a file mapped into memory.
    """

    def __init__(self, found: Array) -> None:
        self._found = found

    def strip(self, segment: Segment) -> tuple[Segment, int]:
        """Return a segment without such paragraphs, and how many there were; headers left without text go too."""
        if not len(self._found):
            return segment, 0
        kept, count = [], 0
        for paragraph, is_prose in _paragraphs(segment.text):
            if is_prose and self._holds(_key(segment, paragraph)):
                count += 1
            else:
                kept.append((paragraph, is_prose))
        if not count:
            return segment, 0
        text = "\n\n".join(_without_bare_headers(kept))
        id = record_id(segment.provenance.uri, "\n".join(segment.header_path), text)
        return replace(segment, text=text, id=id), count

    def _holds(self, key: int | None) -> bool:
        if key is None:
            return False
        at = int(np.searchsorted(self._found, np.uint64(key)))
        return at < len(self._found) and int(self._found[at]) == key


def paragraphs_on_pages(segments: Iterable[Segment]) -> Array:
    """Return the hash of each different paragraph of some segments and of a page it is on, sorted; for `repeated`."""
    found = {
        (key, _digest(segment.provenance.uri))
        for segment in segments
        for paragraph, is_prose in _paragraphs(segment.text)
        if is_prose and (key := _key(segment, paragraph)) is not None
    }
    pairs = np.array(list(found), np.uint64).reshape(-1, 2)
    return by_key(pairs[:, 0], pairs[:, 1])


def repeated(paths: Sequence[Path], total: int, pages: int) -> Array:
    """Return the sorted hashes of the paragraphs that are on at least `pages` pages, for `Boilerplate`.

    `paths` hold what `paragraphs_on_pages` gave, `total` pairs together. A range of hashes at a time is in memory.
    """
    found = [np.empty(0, np.uint64)]
    for first, last in hash_ranges(total, sorted_files.IN_MEMORY):
        pairs = distinct(between(paths, first, last))
        keys, counts = np.unique(pairs[0], return_counts=True)
        found.append(keys[counts >= pages])
    return np.concatenate(found)


def _paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the paragraphs of a text, and whether each may be boilerplate: no header, no code, and not short."""
    for piece in paragraphs(text):
        code = any(line.lstrip(" >").startswith("```") for line in piece.split("\n"))
        yield piece, not code and width(piece) >= MIN_CHARS and not _HEADER.match(piece)


def _without_bare_headers(pieces: list[tuple[str, bool]]) -> list[str]:
    kept: list[str] = []
    next_level = 1
    for piece, _ in reversed(pieces):
        header = _HEADER.match(piece)
        level = len(header[1]) if header and "\n" not in piece else 0
        if level and next_level and level >= next_level:
            continue
        kept.append(piece)
        next_level = level
    return kept[::-1]


def _key(segment: Segment, paragraph: str) -> int | None:
    site = host(segment.provenance.uri)
    return _digest(f"{site} {normal(paragraph)}") if site else None


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
