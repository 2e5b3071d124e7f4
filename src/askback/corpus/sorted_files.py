"""Numbers with what belongs to them, sorted on disk: how the corpus is compared with itself in bounded memory.

Each piece of work writes its (key, value) pairs sorted by key. What all pieces hold of one range of keys is then a slice
of each file, so equal keys meet range by range, each file is read once, and no more than a range is in memory.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from askback import owned

Array = np.ndarray[Any, Any]

IN_MEMORY = 2**17
"""Pairs that are brought together at once; with what sorting and comparing them needs, some 10 MB."""


def write_array(path: Path, array: Array) -> None:
    """Write an array, whole or not at all.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with owned.atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def by_key(keys: Array, values: Array) -> Array:
    """Return two rows, keys and values (64-bit, unsigned), sorted by key; equal keys stay in their order."""
    order = np.argsort(keys, kind="stable")
    return np.stack([keys[order], values[order]]).astype(np.uint64, copy=False)


def between(paths: Sequence[Path], first: int, last: int, table: int = 0) -> Array:
    """Return, as `by_key` does, the pairs of table `table` of all files with keys from `first` to `last` (included)."""
    found = []
    for path in paths:
        rows = np.load(path, mmap_mode="r")[table]
        start = np.searchsorted(rows[0], np.uint64(first), "left")
        stop = np.searchsorted(rows[0], np.uint64(last), "right")
        if start < stop:
            found.append(np.array(rows[:, start:stop]))
    if not found:
        return np.empty((2, 0), np.uint64)
    whole = np.concatenate(found, axis=1)
    return by_key(whole[0], whole[1])


def merge(paths: Sequence[Path], total: int, count: int) -> Path:
    """Make one file of several, whose keys are below `total`, a `count`-th of the keys at a time; return it."""
    target = paths[0].with_name(f"all-{paths[0].name}")
    size = sum(np.load(path, mmap_mode="r").shape[2] for path in paths)
    with owned.atomic(target) as temporary:
        whole = np.lib.format.open_memmap(temporary, "w+", np.uint64, (1, 2, size))
        done = 0
        for start, stop in pairwise(total * part // count for part in range(count + 1)):
            pairs = between(paths, start, stop - 1)
            whole[0, :, done : (done := done + pairs.shape[1])] = pairs
        whole.flush()
    for path in paths:
        owned.remove(path)
    return target


def distinct(pairs: Array) -> Array:
    """Return pairs sorted by key, then by value, each once."""
    pairs = pairs[:, np.lexsort((pairs[1], pairs[0]))]
    fresh = np.ones(pairs.shape[1], bool)
    fresh[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
    return pairs[:, fresh]


def hash_ranges(total: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last key of equal ranges of 64-bit hashes, of which each holds about `most` of `total`."""
    count = max(1, -(-total // most))
    borders = [2**64 * number // count for number in range(count + 1)]
    yield from ((start, stop - 1) for start, stop in pairwise(borders))


def run_starts(keys: Array) -> Array:
    """Return, for each of some sorted keys, where the run of keys equal to it begins."""
    places = np.arange(len(keys))
    fresh = np.ones(len(keys), bool)
    fresh[1:] = keys[1:] != keys[:-1]
    return np.maximum.accumulate(np.where(fresh, places, 0))
