"""Near-duplicates among segments, in bounded memory: the paper removes duplicates and does not say how (method.md 1.4).

Text is compared by its words (text/words.py), without case and punctuation. Equal texts are found by their hash. For the
others, shingles of 5 words are MinHashed with 128 permutations; locality-sensitive hashing over `bands` bands proposes
candidates, and a candidate is a duplicate when the similarity that the two MinHashes estimate is at least the threshold
and the earlier one is kept. Of each group of near-duplicates the first stays.

Workers `sign` segments piece by piece; `decide` then finds equal keys range by range of the keys (sorted_files.py), and
decides piece by piece, in order. All that grows with the corpus is on disk, but for two flags for each segment.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from askback.corpus import sorted_files
from askback.corpus.sorted_files import Array, between, by_key, distinct, hash_ranges, merge, run_starts, write_array
from askback.text.words import words

PERMUTATIONS = 128
"""Values in a MinHash; the standard error of a similarity near 0.7 is then 0.04."""
SHINGLE_WORDS = 5
SEED = 1
"""Of the hash functions; part of the result, so it is not an option."""
RECALL = 0.99
"""A pair exactly at the threshold becomes a candidate with at least this probability."""
COMPARED = 8
"""In each band, segments of the same key that a segment is compared with, the first ones: of a page that a site has
100,000 times with small changes, the first stays whatever the others are like."""
NEAR = 1 - 2**-24
"""The highest similarity of texts that are not equal, whose MinHashes may be; in 32 bits, the next below 1."""
RANGES = 64
"""Ranges of keys at most: every one of them opens the files of all pieces."""
PAIRS = 2**14
"""MinHashes that are compared at once: some 20 MB."""

SIGNED = np.dtype([("id", "S16"), ("draw", "u8"), ("present", "?")])
"""What is known of a segment beside its MinHash; one that is not `present` takes no part."""
VERDICT = np.dtype([("earlier", "i8"), ("similarity", "f4")])
"""The number of the earlier segment that one duplicates, -1 for none, and how similar they are."""


@dataclass(frozen=True)
class Signatures:
    """What deduplication writes in a folder. Piece p holds the segments from number ``firsts[p]`` to ``firsts[p + 1]``."""

    folder: Path
    firsts: Sequence[int]

    def path(self, what: str, piece: int) -> Path:
        """Return where something of a piece is: its "rows", "minhashes", "keys" or "verdicts"."""
        return self.folder / f"{what}-{piece:05d}.npy"

    def paths(self, what: str) -> list[Path]:
        """Return where it is for all pieces, in order."""
        return [self.path(what, piece) for piece in range(len(self.firsts) - 1)]

    def rows(self, what: str, numbers: Array) -> Array:
        """Return the rows of some segments; each piece is opened once."""
        pieces = np.searchsorted(self.firsts, numbers, "right") - 1
        found: Array | None = None
        for piece in np.unique(pieces):
            here = pieces == piece
            rows = np.load(self.path(what, piece), mmap_mode="r")[numbers[here] - self.firsts[piece]]
            found = np.empty((len(numbers), *rows.shape[1:]), rows.dtype) if found is None else found
            found[here] = rows
        assert found is not None
        return found


class Signer:
    """In a worker: collects the signatures of one piece."""

    def __init__(self, threshold: float) -> None:
        self.bands = bands(threshold)
        self._rows: list[tuple[str, int, bool]] = []
        self._minhashes: list[Array] = []
        self._exact: list[int] = []

    def add(self, id: str, draw: int, text: str | None) -> None:
        """Add a segment; one without text takes no part."""
        exact, minhash = signature(text) if text is not None else (0, np.zeros(PERMUTATIONS, np.uint32))
        self._exact.append(exact)
        self._minhashes.append(minhash)
        self._rows.append((id, draw, text is not None))

    def write(self, signatures: Signatures, piece: int) -> None:
        """Write the piece: its keys last, whose presence says that it is done."""
        rows, minhashes = np.array(self._rows, SIGNED), np.array(self._minhashes)
        numbers: Array = np.flatnonzero(rows["present"])
        in_bands = minhashes[numbers].reshape(len(numbers), self.bands, PERMUTATIONS // self.bands)
        keys = [np.array(self._exact, np.uint64)[numbers], *np.moveaxis(_band_keys(in_bands), 1, 0)]
        numbers = numbers.astype(np.uint64) + np.uint64(signatures.firsts[piece])
        write_array(signatures.path("rows", piece), rows)
        write_array(signatures.path("minhashes", piece), minhashes)
        write_array(signatures.path("keys", piece), np.stack([by_key(table, numbers) for table in keys]))


def signature(text: str) -> tuple[int, Array]:
    """Return the hash of a text (64 bits: among 10^8 texts, two different ones agree once in 3,700 corpora), and its
    MinHash."""
    from rensa import RMinHash

    found = words(text)
    digest = hashlib.blake2b(" ".join(found).encode("utf-8", "replace"), digest_size=8).digest()
    minhash = RMinHash(PERMUTATIONS, SEED)
    shingles = zip(*(found[start:] for start in range(SHINGLE_WORDS)), strict=False)
    minhash.update(list(map(" ".join, shingles)) or [" ".join(found)])
    return int.from_bytes(digest, "big"), np.array(minhash.digest(), np.uint32)


def _band_keys(minhashes: Array) -> Array:
    """Return a 64-bit hash of each band. Two that agree by chance cost one comparison."""
    odd = np.random.default_rng(SEED).integers(2**63, 2**64, minhashes.shape[2], np.uint64) | np.uint64(1)
    mixed: Array = ((minhashes.astype(np.uint64) + np.uint64(1)) * odd).sum(axis=2, dtype=np.uint64)
    mixed ^= mixed >> np.uint64(31)
    return mixed * np.uint64(0x9E3779B97F4A7C15)


def bands(threshold: float) -> int:
    """Return the fewest bands with which a pair at `threshold` becomes a candidate with probability `RECALL`.

    With b bands of r = 128 / b values each, that probability is 1 - (1 - threshold^r)^b: 32 bands at 0.7.
    """
    for count in (8, 16, 32, 64):
        if 1 - (1 - threshold ** (PERMUTATIONS // count)) ** count >= RECALL:
            return count
    return PERMUTATIONS


def deduplication_bytes(segments: int, threshold: float) -> int:
    """Return how many bytes of disk the signatures of all segments take: about 1.1 kB each at 0.7. Pairs come on top:
    16 bytes for each band and earlier segment that a segment shares a key with, twice while they are sorted; and with
    `boilerplate_pages` 16 bytes for each paragraph."""
    keys = 16 * (1 + bands(threshold))
    groups = 16  # of a segment's document and site
    return segments * (SIGNED.itemsize + VERDICT.itemsize + groups + 4 * PERMUTATIONS + keys)


def parts_to_decide(signatures: Signatures, threshold: float) -> int:
    """Return in how many parts `decide` does its work: ranges of keys in every table, then pieces."""
    return (1 + bands(threshold)) * len(_ranges(signatures.firsts[-1])) + len(signatures.firsts) - 1


def _ranges(total: int) -> list[tuple[int, int]]:
    """Return the ranges of keys that are looked at one by one; of a large corpus, a 64th of it each."""
    return list(hash_ranges(total, max(sorted_files.IN_MEMORY, total // RANGES)))


def decide(signatures: Signatures, threshold: float, done: Callable[[int], None] = lambda parts: None) -> Array:
    """Write, for each piece, what its segments duplicate; return a flag for each segment, set if it stays.

    `done` is called with 1 after each of the `parts_to_decide`.
    """
    total = signatures.firsts[-1]
    copy, kept = np.zeros(total, bool), np.zeros(total, bool)
    copies = list(_candidates(signatures, [0], copy, 1, done))
    for path in copies:
        copy[np.load(path, mmap_mode="r")[0][0]] = True
    near = list(_candidates(signatures, range(1, 1 + bands(threshold)), copy, COMPARED, done))
    for piece, (first, stop) in enumerate(zip(signatures.firsts, signatures.firsts[1:], strict=False)):
        rows = np.load(signatures.path("rows", piece), mmap_mode="r")
        verdicts = np.array([(-1, -1)] * (stop - first), VERDICT)
        kept[first:stop] = rows["present"] & ~copy[first:stop]
        for later, earlier, similarity in _near(signatures, between(near, first, stop - 1), kept, threshold):
            # A candidate may have been found a duplicate itself since; the nearest of those that stay is named.
            if kept[earlier] and similarity > verdicts[later - first]["similarity"]:
                verdicts[later - first] = earlier, similarity
                kept[later] = False
        for later, earlier in between(copies, first, stop - 1).T.astype(np.int64).tolist():
            verdict = (earlier, 1.0)
            if not kept[earlier]:
                known = verdicts[earlier - first] if earlier >= first else _verdict(signatures, earlier)
                verdict = tuple(known)
            verdicts[later - first] = verdict
        write_array(signatures.path("verdicts", piece), verdicts)
        done(1)
    return kept


def near_copies(texts: Sequence[str], threshold: float) -> int:
    """Return the number of texts that are copies, or near-copies, of an earlier one."""
    with TemporaryDirectory() as folder:
        signatures = Signatures(Path(folder), [0, len(texts)])
        signer = Signer(threshold)
        for number, text in enumerate(texts):
            signer.add(str(number), 0, text)
        signer.write(signatures, 0)
        return len(texts) - int(decide(signatures, threshold).sum())


def _verdict(signatures: Signatures, number: int) -> Array:
    found: Array = signatures.rows("verdicts", np.array([number]))[0]
    return found


def _candidates(
    signatures: Signatures, tables: Sequence[int], copy: Array, compared: int, done: Callable[[int], None]
) -> Iterator[Path]:
    """Write pairs (later, earlier) of segments that share a key, sorted by the later one; yield a file for each table.

    A segment is paired with the first `compared` that have the key. Those flagged in `copy` take no part.
    """
    total = signatures.firsts[-1]
    ranges = _ranges(total)
    for table in tables:
        parts = []
        for part, (first, last) in enumerate(ranges):
            keys, numbers = between(signatures.paths("keys"), first, last, table)
            here = ~copy[numbers]
            keys, numbers = keys[here], numbers[here]
            starts, places = run_starts(keys), np.arange(len(keys))
            later, earlier = [], []
            for step in range(compared):
                paired = starts + step < places
                later.append(numbers[paired])
                earlier.append(numbers[starts[paired] + step])
                if not len(later[-1]):
                    break
            if len(later[0]):
                path = signatures.folder / f"pairs-{table:03d}-{part:05d}.npy"
                write_array(path, by_key(np.concatenate(later), np.concatenate(earlier))[np.newaxis])
                parts.append(path)
            done(1)
        # One file for each table, or else every piece would open as many as there are ranges.
        yield from [merge(parts, total, len(ranges))] if len(parts) > 1 else parts


def _near(signatures: Signatures, pairs: Array, kept: Array, threshold: float) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs whose MinHashes agree in at least `threshold` of their values, by the later segment, then the
    earlier; pairs with one that is known not to stay are left out."""
    pairs = distinct(pairs[:, kept[pairs[1]]]).astype(np.int64)
    for start in range(0, pairs.shape[1], PAIRS):
        later, earlier = pairs[:, start : start + PAIRS]
        agree = signatures.rows("minhashes", later) == signatures.rows("minhashes", earlier)
        similarity = agree.mean(axis=1)
        found = similarity >= threshold
        yield from zip(
            later[found].tolist(), earlier[found].tolist(), np.minimum(similarity[found], NEAR).tolist(), strict=True
        )
