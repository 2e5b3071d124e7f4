"""What a linear judge learns, on states in which it is known what there is to learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from askback import owned
from askback.curate.linear import Examples, learning_curve, teach
from askback.curate.measures import auroc
from askback.curate.scorers.probe import WEIGHTS, LinearJudge, read_judge
from askback.curate.teach_probe import worths
from askback.errors import InputError

DIRECTION = np.random.default_rng(1).normal(size=(2, 2, 12))


def examples(count: int, strength: float = 1.0, seed: int = 0, labelled: bool = True) -> Examples:
    """Pairs, three of each document, that people keep by one direction of their states."""
    random = np.random.default_rng(seed)
    states = random.normal(3.0, 2.0, size=(count, 2, 2, 12))
    taste = ((states - 3) * DIRECTION).sum((1, 2, 3)) / np.linalg.norm(DIRECTION)
    keep = taste * strength + random.logistic(size=count) > 0
    return Examples(
        states,
        keep.astype(float),
        keep,
        np.array([f"document {seed} {at // 3}" for at in range(count)]),
        random.integers(50, 900, count),
        np.full(count, labelled),
    )


def probabilities(judge: LinearJudge, found: Examples) -> Any:
    return np.array([judge.probability(one) for one in found.states])


def test_a_probability_is_the_share_that_people_keep() -> None:
    judge, metrics = teach(examples(600), 0)
    unseen = examples(3000, seed=1)
    found = probabilities(judge, unseen)
    assert auroc(list(found[unseen.keep]), list(found[~unseen.keep])) > 0.8
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        among = (low <= found) & (found < high)
        assert among.sum() > 100
        assert unseen.keep[among].mean() == pytest.approx(found[among].mean(), abs=0.06)
    assert metrics["calibrated_on"] == "labels" and metrics["labels"]["pairs"] == 600
    assert metrics["labels"]["auroc"] == pytest.approx(metrics["labels"]["auroc_at_equal_length"], abs=0.05)


def test_what_is_learnt_of_a_document_does_not_count_on_that_document() -> None:
    """Each document has a place of its own among the states, and one label: outside it, that says nothing."""
    random = np.random.default_rng(0)
    place = random.normal(0, 5, size=(60, 1, 2, 30)).repeat(5, 0)
    keep = (random.random(60) < 0.5).repeat(5)
    found = Examples(
        place + random.normal(0, 0.1, size=place.shape),
        keep.astype(float),
        keep,
        np.arange(60).repeat(5).astype(str),
        random.integers(50, 900, 300),
        np.full(300, True),
    )
    _, metrics = teach(found, 0)
    assert metrics["labels"]["auroc"] < 0.7


def test_a_judge_that_knows_the_length_alone_is_told_from_one_that_knows_more() -> None:
    random = np.random.default_rng(0)
    chars = random.integers(50, 2000, 400)
    states = np.log(chars)[:, None, None, None] + random.normal(0, 0.01, size=(400, 1, 2, 3))
    keep = chars + random.normal(0, 400, 400) > 1000
    _, metrics = teach(
        Examples(states, keep.astype(float), keep, np.arange(400).astype(str), chars, np.full(400, True)), 0
    )
    figures = metrics["labels"]
    assert figures["auroc"] == pytest.approx(figures["length_alone"], abs=0.03) and figures["auroc"] > 0.85
    assert figures["auroc_at_equal_length"] < 0.72


def test_more_labels_teach_more_and_lessons_alone_do_not() -> None:
    """Lessons are kept by another direction, so that they say nothing about what people keep."""
    lessons = examples(90, strength=0.0, seed=2, labelled=False)
    calls: list[int] = []
    curve = learning_curve(lessons, examples(150, strength=2.0), 0, lambda: calls.append(1))
    assert [row["labels"] for row in curve][:-1] == [0, 25, 50, 100] and 110 <= curve[-1]["labels"] <= 120
    assert len(calls) == 5 * len(curve) and all(row["pairs"] == 150 for row in curve)
    assert curve[0]["auroc_at_equal_length"] == pytest.approx(0.5, abs=0.15)
    assert curve[-1]["auroc_at_equal_length"] > max(0.7, curve[1]["auroc_at_equal_length"])
    half = next(row for row in curve if row["labels"] == curve[-1]["half"])
    gain, low, high = curve[-1]["gained"]
    assert half["labels"] == 50 and low < gain < high
    assert gain == pytest.approx(curve[-1]["auroc_at_equal_length"] - half["auroc_at_equal_length"])


def test_too_few_examples_are_refused_with_their_numbers() -> None:
    few = examples(90)
    with pytest.raises(InputError, match=r"found 3 and 15, of"):
        teach(few.at(np.r_[np.flatnonzero(few.keep)[:3], np.flatnonzero(~few.keep)[:15]]), 0)
    with pytest.raises(InputError, match=r"of 2\. Give more seed pairs or labels"):
        teach(examples(400).at(slice(0, 6)).and_of(examples(400).at(slice(0, 6))), 0)


def test_a_judge_is_read_as_it_was_written_and_refuses_another_models_states(tmp_path: Path) -> None:
    owned.claim(tmp_path / "step", "step")
    made, _ = teach(examples(100), 0)
    made.write(tmp_path / "step")
    again, found = read_judge(str(tmp_path / "step")), examples(5, seed=3)
    assert probabilities(again, found) == pytest.approx(probabilities(made, found), abs=1e-5)
    with pytest.raises(InputError, match="width 12, and this one's width is 7"):
        again.probability(np.zeros((2, 2, 7)))
    with pytest.raises(InputError, match=rf"there is no {WEIGHTS} in it"):
        read_judge(str(tmp_path))
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(InputError, match="is no judge that askback taught"):
        read_judge(str(tmp_path))


def test_ratings_teach_more_than_what_is_above_their_median() -> None:
    random = np.random.default_rng(5)
    states = random.normal(size=(400, 2, 2, 12))
    rating = (states * DIRECTION).sum((1, 2, 3)) / np.linalg.norm(DIRECTION) + random.normal(0, 1.5, 400)
    keep, about = rating > np.median(rating), (np.arange(400).astype(str), random.integers(50, 900, 400))
    reached = []
    for worth in (np.array(worths(list(rating))), keep.astype(float)):
        found = Examples(states, worth, keep, *about, np.full(400, True))
        judge, unseen = teach(found.at(slice(0, 100)), 0)[0], found.at(slice(100, 400))
        scores = probabilities(judge, unseen)
        reached.append(auroc(list(scores[unseen.keep]), list(scores[~unseen.keep])))
    assert reached[0] > reached[1] > 0.6


def test_labels_count_as_many_good_and_bad_ones() -> None:
    assert worths([0, 1, 0, 1]) == [0, 1, 0, 1] and worths([3, 3]) == [0.5, 0.5] and worths([]) == []
    assert worths([1, 5, 5, 5]) == pytest.approx([-0.366, 0.789, 0.789, 0.789], abs=1e-3)
