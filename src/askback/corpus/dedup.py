"""Near-duplicates among segments: the paper removes duplicates and does not say how (method.md 1.4)."""

import hashlib
import re
from typing import Any

from rensa import RMinHash, RMinHashLSH

PERMUTATIONS = 128
"""Values in a MinHash; the standard error of a similarity near 0.7 is then 0.04."""
SHINGLE_WORDS = 5
SEED = 1
"""Of the hash functions; part of the result, so it is not an option."""
RECALL = 0.99
"""A pair exactly at the threshold becomes a candidate at least so often."""

_WORD = re.compile(r"\w+")


class Seen:
    """The segments kept so far. Of each group of near-duplicates the first stays.

    Text is compared in lower case and without punctuation. Equal texts are found by their hash. For the others, shingles
    of 5 words are MinHashed with 128 permutations; locality-sensitive hashing over `bands` bands proposes candidates, and
    a candidate is a duplicate when the similarity that the two MinHashes estimate is at least the threshold.
    Memory is about 1.5 kB a segment.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._exact: dict[bytes, str] = {}
        self._kept: list[tuple[str, Any]] = []
        self._index = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))

    def duplicate_of(self, id: str, text: str) -> tuple[str, float] | None:
        """Return the id and similarity of the nearest earlier segment that `text` duplicates; else keep it."""
        words = _WORD.findall(text.lower())
        digest = hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=16).digest()
        if digest in self._exact:
            return self._exact[digest], 1.0
        hashed = RMinHash(PERMUTATIONS, SEED)
        hashed.update(
            [" ".join(words[at : at + SHINGLE_WORDS]) for at in range(max(len(words) - SHINGLE_WORDS + 1, 1))]
        )
        nearest: tuple[str, float] | None = None
        for key in sorted(self._index.query(hashed)):
            earlier, other = self._kept[key]
            similarity = float(hashed.jaccard(other))
            if similarity >= self.threshold and (nearest is None or similarity > nearest[1]):
                nearest = earlier, similarity
        if nearest is None:
            self._exact[digest] = id
            self._index.insert(len(self._kept), hashed)
            self._kept.append((id, hashed))
        return nearest


def bands(threshold: float) -> int:
    """Return the fewest bands with which a pair at `threshold` becomes a candidate with probability `RECALL`.

    With b bands of r = 128 / b values each, that probability is 1 - (1 - threshold^r)^b: 32 bands at 0.7.
    """
    for count in (8, 16, 32, 64):
        if 1 - (1 - threshold ** (PERMUTATIONS // count)) ** count >= RECALL:
            return count
    return PERMUTATIONS
