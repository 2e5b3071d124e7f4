"""Words and phrases that a recipe's own lists do not want: profanity, toxicity, spam (ours; the paper has no such rule)."""

from functools import lru_cache
from pathlib import Path

from askback.errors import InputError
from askback.inputs.local_files import Stamp, stamp
from askback.inputs.packed import open_bytes
from askback.recipe import Corpus, WordList
from askback.text.words import join, tokens

NAMED = 3
"""Largest number of the words found that a rejection names."""


class Words:
    """The words and phrases of one list, to be looked for in texts in time linear in the text.

    A text is taken as words and single marks; case (by `str.casefold`), width and white space do not count. Entries are
    found as whole words; in a script without spaces each character is a word, so there they are found inside others.
    """

    def __init__(self, entries: list[str]) -> None:
        self._entries = {tuple(_tokens(entry)) for entry in entries} - {()}
        self._lengths: dict[str, list[int]] = {}
        for entry in sorted(self._entries, key=len, reverse=True):
            lengths = self._lengths.setdefault(entry[0], [])
            if len(entry) not in lengths:
                lengths.append(len(entry))

    def found_in(self, text: str) -> tuple[list[str], int]:
        """Return the entries that a text holds, in its order, and how many words the text has.

        Where one begins, the longest counts, and what it covers is not looked at again.
        """
        found = _tokens(text)
        hits: list[str] = []
        at = 0
        while at < len(found):
            lengths = self._lengths.get(found[at], ())
            length = next((size for size in lengths if tuple(found[at : at + size]) in self._entries), 0)
            if length:
                hits.append(join(found[at : at + length]))
            at += length or 1
        return hits, sum(token[0].isalnum() for token in found)


def _tokens(text: str) -> list[str]:
    return tokens(text if text.isascii() else text.replace("’", "'"))


def word_list(text: str, options: Corpus) -> str | None:
    """Rule "word-list": of the words of header and text, more than a list's `max_share` are hits. No lists by default.

    With `max_share` 0, the default of a list, one hit is too many. A phrase is one hit. After C4, which drops a page for
    a single word of a public list; whole words, so that "Scunthorpe" stays.
    """
    return next((detail for wanted in options.word_lists if (detail := _over(text, wanted))), None)


def _over(text: str, wanted: WordList) -> str | None:
    hits, words = words_of(wanted.path).found_in(text)
    share = min(len(hits) / max(words, 1), 1.0)
    if share <= wanted.max_share:
        return None
    named = ", ".join(map(repr, list(dict.fromkeys(hits))[:NAMED]))
    found = f"list {Path(wanted.path).name!r}: {len(hits)} hit(s) in {words} words ({named})"
    return f"{found}, {share:.2%}, at most {wanted.max_share:.2%} wanted"


def words_of(path: str) -> Words:
    """Read a list, packed or not: UTF-8, a word or phrase a line; empty lines and those that begin with # do not count.

    Raises:
        InputError: there is no such file, it is not UTF-8, or it lists nothing.
    """
    try:
        return _words(path, stamp(Path(path)))
    except OSError as error:
        raise InputError(f"{path}: this word list cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: this word list is not UTF-8 (byte {error.start}); save it as UTF-8") from error


@lru_cache(maxsize=64)
def _words(path: str, mark: Stamp) -> Words:
    with open_bytes(Path(path)) as file:
        lines = file.read().decode("utf-8-sig").splitlines()
    entries = [line for line in map(str.strip, lines) if _tokens(line) and not line.startswith("#")]
    if not entries:
        raise InputError(f"{path}: this word list is empty; it takes a word or phrase a line, # begins a comment")
    return Words(entries)
