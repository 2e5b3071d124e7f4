"""Near-duplicates: the first of each group stays."""

import random
from pathlib import Path

import numpy as np
import pytest

from askback.corpus.dedup import COMPARED, Signatures, Signer, bands, decide, parts_to_decide
from askback.records import record_id


def passage(seed: int, words: int = 400) -> list[str]:
    draw = random.Random(seed)
    return [f"w{draw.randrange(100_000)}" for _ in range(words)]


def duplicates(folder: Path, threshold: float, *texts: str, piece: int = 1000) -> list[tuple[int, float] | None]:
    """Return, for each text, the number of the earlier one it duplicates and how similar they are."""
    folder.mkdir(exist_ok=True)
    signatures = Signatures(folder, [*range(0, len(texts), piece), len(texts)])
    for number, first in enumerate(signatures.firsts[:-1]):
        signer = Signer(threshold)
        for text in texts[first : signatures.firsts[number + 1]]:
            signer.add(record_id(text), 0, text)
        signer.write(signatures, number)
    parts: list[int] = []
    kept = decide(signatures, threshold, parts.append)
    assert sum(parts) == parts_to_decide(signatures, threshold)
    found = [verdict for path in signatures.paths("verdicts") for verdict in np.load(path).tolist()]
    assert kept.tolist() == [earlier < 0 for earlier, _ in found]
    return [None if earlier < 0 else (earlier, similarity) for earlier, similarity in found]


def test_equal_texts_are_found_whatever_their_punctuation(tmp_path: Path) -> None:
    found = duplicates(tmp_path, 0.7, "One, two: three!", "one two\nTHREE", "one two four", "One two three")
    assert found == [None, (0, 1.0), None, (0, 1.0)]


def test_similarity_on_either_side_of_the_threshold(tmp_path: Path) -> None:
    """400 words have 396 shingles of five. Another last k words change k of them: (396 - k) / (396 + k) are shared.

    By hand, k = 20 gives 376 / 416 = 0.904 and k = 120 gives 276 / 516 = 0.535; k = 60 gives 336 / 456 = 0.737, which
    128 values show within three standard errors of 0.039: a drop at 0.6 and not at 0.86.
    """
    first = passage(1)
    near, far, middle = (" ".join([*first[: 400 - k], *passage(seed, k)]) for seed, k in ((2, 20), (3, 120), (4, 60)))
    found = duplicates(tmp_path, 0.7, " ".join(first), near, far)
    assert found[0] is None and found[2] is None and found[1] is not None
    assert found[1][0] == 0 and found[1][1] == pytest.approx(376 / 416, abs=0.08)
    assert duplicates(tmp_path / "low", 0.6, " ".join(first), middle)[1] is not None
    assert duplicates(tmp_path / "high", 0.86, " ".join(first), middle)[1] is None


def test_the_similarity_at_the_threshold_is_a_duplicate(tmp_path: Path) -> None:
    """An estimate is a number of 128ths, so the limit can be put on it exactly, and just above it."""
    texts = [" ".join(passage(1)), " ".join([*passage(1)[:380], *passage(2, 20)])]
    (_, found) = duplicates(tmp_path, 0.7, *texts)
    assert found is not None and (found[1] * 128).is_integer()
    assert duplicates(tmp_path / "at", found[1], *texts)[1] == found
    assert duplicates(tmp_path / "above", found[1] + 1 / 256, *texts)[1] is None


def test_a_dropped_text_is_not_kept_and_the_nearest_is_named(tmp_path: Path) -> None:
    first = passage(1)
    second = [*first[:240], *passage(2, 160)]  # 236 / 556 = 0.42 with the first
    third = [*second[:390], *passage(3, 10)]  # 386 / 406 = 0.95 with the second
    fourth = [*third[:300], *passage(4, 100)]  # 296 / 496 = 0.60 with the second, as with the third
    found = duplicates(tmp_path, 0.55, *map(" ".join, (first, second, third, fourth, third)))
    assert [one and one[0] for one in found] == [None, None, 1, 1, 1]
    assert found[4] == found[2], "a copy of what was dropped is dropped for the same"


def crowd() -> list[str]:
    """150 passages, each followed by one of similarity 346 / 446 = 0.78; every fifth comes again at the end."""
    pairs = [(passage(seed), passage(10_000 + seed, 50)) for seed in range(150)]
    texts = [" ".join(words) for whole, other in pairs for words in (whole, [*whole[:350], *other])]
    return [*texts, *texts[::5]]


def test_recall_on_many_pairs(tmp_path: Path) -> None:
    """At threshold 0.7 nearly all pairs are found; unrelated texts never; all copies."""
    found = duplicates(tmp_path, 0.7, *crowd())
    assert found[0:300:2] == [None] * 150
    assert [one[0] for one in found[1:300:2] if one] == [at for at in range(0, 300, 2) if found[at + 1]]
    assert sum(one is not None for one in found[1:300:2]) >= 140
    assert all(found[300:])


@pytest.mark.parametrize(("piece", "in_memory"), [(1000, 1), (7, 100), (7, 2**18), (1, 2**18)])
def test_memory_and_pieces_do_not_change_the_result(
    piece: int, in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = crowd()[:360:3]
    whole = duplicates(tmp_path / "whole", 0.7, *texts)
    monkeypatch.setattr("askback.corpus.sorted_files.IN_MEMORY", in_memory)
    monkeypatch.setattr("askback.corpus.dedup.PAIRS", 3)
    assert duplicates(tmp_path / "spilled", 0.7, *texts, piece=piece) == whole


def test_a_page_that_is_there_thousands_of_times_costs_no_more(tmp_path: Path) -> None:
    """Each of 400 has one word changed and comes twice; nearly all share keys, and few of the pairs are looked at."""
    words = passage(1)
    texts = [" ".join([*words[:at], "changed", *words[at + 1 :]]) for at in range(400)] * 2
    found = duplicates(tmp_path, 0.7, *texts)
    assert [one and one[0] for one in found] == [None] + [0] * 799
    pairs = sum(np.load(path).shape[2] for path in tmp_path.glob("pairs-*"))
    assert pairs <= 33 * COMPARED * 800


def test_equal_minhashes_of_other_texts_are_near_only(tmp_path: Path) -> None:
    """The last of 30,000 words changes one shingle of as many, which none of 128 values is likely to see."""
    words = [f"w{number}" for number in range(30_000)]
    found = duplicates(tmp_path, 0.7, " ".join(words), " ".join([*words[:-1], "other"]))
    assert found[1] is not None and 0.999 < found[1][1] < 1


def test_bands_reach_the_recall() -> None:
    assert bands(0.7) == 32
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 0.99):
        count = bands(threshold)
        assert 1 - (1 - threshold ** (128 // count)) ** count >= 0.99
    assert bands(0.0) == 128
