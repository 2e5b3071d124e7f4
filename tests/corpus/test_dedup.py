"""Near-duplicates: the first of each group stays."""

import random

import pytest

from askback.corpus.dedup import Seen, bands


def passage(seed: int, words: int = 400) -> list[str]:
    draw = random.Random(seed)
    return [f"w{draw.randrange(100_000)}" for _ in range(words)]


def test_equal_texts_are_found_whatever_their_punctuation() -> None:
    seen = Seen(0.7)
    assert seen.duplicate_of("a", "One, two: three!") is None
    assert seen.duplicate_of("b", "one two\nTHREE") == ("a", 1.0)
    assert seen.duplicate_of("c", "one two four") is None


def test_similarity_on_either_side_of_the_threshold() -> None:
    """400 words have 396 shingles of five. Another last k words change k of them: (396 - k) / (396 + k) are shared."""
    first = passage(1)
    near = [*first[:380], *passage(2, 20)]  # 376 / 416 = 0.90
    far = [*first[:280], *passage(3, 120)]  # 276 / 516 = 0.53
    seen = Seen(0.7)
    assert seen.duplicate_of("first", " ".join(first)) is None
    found = seen.duplicate_of("near", " ".join(near))
    assert found is not None
    assert found[0] == "first"
    assert found[1] == pytest.approx(0.90, abs=0.08)
    assert seen.duplicate_of("far", " ".join(far)) is None
    assert Seen(0.95).duplicate_of("x", " ".join(first)) is None


def test_a_dropped_text_is_not_kept_and_the_nearest_is_named() -> None:
    first = passage(1)
    second = [*first[:240], *passage(2, 160)]  # 236 / 556 = 0.42 with the first
    third = [*second[:390], *passage(3, 10)]  # 386 / 406 = 0.95 with the second
    fourth = [*third[:300], *passage(4, 100)]  # 296 / 496 = 0.60 with the second, as with the third
    seen = Seen(0.55)
    assert seen.duplicate_of("first", " ".join(first)) is None
    assert seen.duplicate_of("second", " ".join(second)) is None
    for name, words in (("third", third), ("fourth", fourth)):
        found = seen.duplicate_of(name, " ".join(words))
        assert found is not None
        assert found[0] == "second"


def test_recall_and_determinism_on_many_pairs() -> None:
    """Pairs of similarity 0.78 at threshold 0.7: nearly all are found; unrelated texts never; twice the same."""

    def run() -> list[bool]:
        seen = Seen(0.7)
        found = []
        for seed in range(150):
            words = passage(seed)
            assert seen.duplicate_of(f"{seed}", " ".join(words)) is None
            edited = [*words[:350], *passage(10_000 + seed, 50)]  # 346 / 446
            found.append(seen.duplicate_of(f"{seed}+", " ".join(edited)) is not None)
        return found

    first = run()
    assert sum(first) >= 140
    assert run() == first


def test_bands_reach_the_recall() -> None:
    assert bands(0.7) == 32
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 0.99):
        count = bands(threshold)
        assert 1 - (1 - threshold ** (128 // count)) ** count >= 0.99
    assert bands(0.0) == 128
