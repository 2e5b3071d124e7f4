"""Exact search for near-copies among instructions: word-set Jaccard with a prefix filter (Bayardo et al., 2007)."""

import math
from collections import Counter
from collections.abc import Mapping

from askback.text.words import word_set


class NearCopies:
    """The instructions chosen so far, searched for those that a new one is similar to.

    Words are ordered from the rarest. Two sets of a Jaccard similarity of at least t share a word among the first
    s - ceil(t * s) + 1 of each, s being its size, and more than one where their sizes say so (`_least`); only those that
    share that number of these rare words are compared.
    """

    def __init__(self, threshold: float, frequencies: Mapping[str, int]) -> None:
        self.threshold = threshold
        self._frequencies = frequencies
        self._kept: list[tuple[str, frozenset[str]]] = []
        self._index: dict[int, dict[str, list[int]]] = {}
        """Size → rare word → indices into `_kept`."""

    def nearest(self, text: str) -> tuple[str, float] | None:
        """Return the id and similarity of the instruction most similar to `text`, None if all are below the threshold."""
        mine = word_set(text)
        rare = self._rare_words(mine)
        likely: list[int] = []
        for size, index in self._index.items():
            least = self._least(len(mine), size)
            if least is not None:
                sharing: Counter[int] = Counter()
                for word in rare:
                    sharing.update(index.get(word, ()))
                likely += [number for number, count in sharing.items() if count >= least]
        found: tuple[str, float] | None = None
        for number in sorted(likely):
            id, other = self._kept[number]
            shared = len(mine & other)
            similarity = shared / (len(mine) + len(other) - shared)
            if similarity >= self.threshold and (found is None or similarity > found[1]):
                found = id, similarity
        return found

    def add(self, id: str, text: str) -> None:
        """Add a chosen instruction."""
        mine = word_set(text)
        index = self._index.setdefault(len(mine), {})
        for word in self._rare_words(mine):
            index.setdefault(word, []).append(len(self._kept))
        self._kept.append((id, mine))

    def _least(self, size: int, other: int) -> int | None:
        """Return the smallest number of rare words that two similar sets of these sizes share, None if none are similar.

        Similar sets share n words; the k-th rarest of these has n - k behind it, so it is one of the first size - n + k.
        """
        shared = math.ceil(self.threshold * (size + other) / (1 + self.threshold) - 1e-9)
        if shared > min(size, other):
            return None
        return shared + min(self._rare(size) - size, self._rare(other) - other)

    def _rare(self, size: int) -> int:
        # Less 1e-9, so that rounding does not shorten a prefix.
        return min(size, size - math.ceil(self.threshold * size - 1e-9) + 1)

    def _rare_words(self, mine: frozenset[str]) -> list[str]:
        ordered = sorted(mine, key=lambda word: (self._frequencies.get(word, 0), word))
        return ordered[: self._rare(len(mine))]
