"""Near-copies among instructions, exactly: word-set Jaccard with a prefix filter (Bayardo et al., 2007)."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping


def words(text: str) -> frozenset[str]:
    """Return the words of a text, in lower case."""
    return frozenset(re.findall(r"\w+", text.lower()))


class NearCopies:
    """The instructions chosen so far, and which of them a new one is like.

    Words are ordered from the rarest. Two sets of a Jaccard similarity of at least t share a word among the first
    s - ceil(t * s) + 1 of each, s being its size; so only those that share such a rare word are compared.
    """

    def __init__(self, threshold: float, frequencies: Mapping[str, int]) -> None:
        self.threshold = threshold
        self._frequencies = frequencies
        self._kept: list[tuple[str, frozenset[str]]] = []
        self._index: dict[str, list[int]] = defaultdict(list)

    def nearest(self, text: str) -> tuple[str, float] | None:
        """Return the id and similarity of the one most like `text`, at or above the threshold, if there is one."""
        mine = words(text)
        found: tuple[str, float] | None = None
        for number in sorted({number for word in self._prefix(mine) for number in self._index.get(word, ())}):
            id, other = self._kept[number]
            shared = len(mine & other)
            similarity = shared / (len(mine) + len(other) - shared)
            if similarity >= self.threshold and (found is None or similarity > found[1]):
                found = id, similarity
        return found

    def add(self, id: str, text: str) -> None:
        """Add one that was chosen."""
        mine = words(text)
        for word in self._prefix(mine):
            self._index[word].append(len(self._kept))
        self._kept.append((id, mine))

    def _prefix(self, mine: frozenset[str]) -> list[str]:
        # Less a hair, so that rounding does not shorten a prefix.
        length = len(mine) - math.ceil(self.threshold * len(mine) - 1e-9) + 1
        return sorted(mine, key=lambda word: (self._frequencies.get(word, 0), word))[: min(length, len(mine))]
