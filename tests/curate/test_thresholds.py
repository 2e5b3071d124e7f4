"""How many a least score will choose: by scores that are known, or by a rule that is named; never silently."""

import json
from pathlib import Path

import pytest

from askback.curate.thresholds import Known, chosen, known_scores
from askback.execution.on_disk import MEASURED
from askback.execution.outcome import Outcome
from askback.execution.shards import write_outcome
from askback.plan import Plan
from askback.recipe import Score, Select
from askback.recipe.file import load_recipe
from askback.records import Judgement

DEMO = Path(__file__).parents[2] / "recipes/demo.yaml"
SCORES = Known(tuple(level / 100 for level in range(100, 500)), "run's score-1")


@pytest.mark.parametrize("size", [0, 135_000_000, 360_000_000, 7_000_000_000])
@pytest.mark.parametrize(
    ("options", "count"),
    [(Select(top_n=8), 8), (Select(top_n=500), 100), (Select(top_fraction=0.25), 25), (Select(bins=3), 100)],
)
def test_what_does_not_depend_on_scores_needs_no_words(options: Select, count: int, size: int) -> None:
    assert chosen(options, 100, ["rubric"], None, size) == (count, "")


@pytest.mark.parametrize("least", [3.8, 4.0, 4.5, 5.0])
@pytest.mark.parametrize("scorer", ["rubric", "additive", "instruction"])
def test_a_small_model_reaches_no_high_level(least: float, scorer: str) -> None:
    found, said = chosen(Select(min_score=least), 1000, [scorer], None, 135_000_000)
    assert found == 0 and f"select.min_score {least:g}" in said and "3.7" in said and "about 0 of 1,000" in said
    assert "top_fraction or top_n" in said and "--measure" in said


@pytest.mark.parametrize(
    ("options", "scorers", "size"),
    [
        (Select(min_score=4.5), ["rubric"], 7_000_000_000),
        (Select(min_score=4.5), ["rubric"], 0),
        (Select(min_score=3.0), ["rubric"], 135_000_000),
        (Select(min_score=0.2), ["ifd"], 135_000_000),
        (Select(min_probability=0.5), ["rubric"], 135_000_000),
    ],
)
def test_a_tenth_is_assumed_only_with_words(options: Select, scorers: list[str], size: int) -> None:
    found, said = chosen(options, 1000, scorers, None, size)
    assert found == 100 and "10% is assumed" in said


@pytest.mark.parametrize(
    ("least", "scorers", "share"), [(0.5, 2, 0.403), (0.9, 2, 0.019), (0.9, 3, 0.003), (0.3, 3, 0.699)]
)
def test_ranks_that_are_combined_follow_from_arithmetic(least: float, scorers: int, share: float) -> None:
    names = ["rubric", "ifd", "whole"][:scorers]
    found, said = chosen(Select(min_score=least), 10_000, names, None, 135_000_000)
    assert found / 10_000 == pytest.approx(share, abs=0.002) and "combined ranks" in said


@pytest.mark.parametrize(("least", "expected"), [(1.0, 400), (4.0, 100), (4.9, 10), (4.99, 1), (5.0, 0)])
def test_known_scores_decide(least: float, expected: int) -> None:
    found, said = chosen(Select(min_score=least), 400, ["rubric"], SCORES, 135_000_000)
    assert found == expected
    assert bool(said) == (expected < 20)
    if said:
        assert "run's score-1" in said and "the highest is 4.99" in said and "half are below 3.00" in said


def judge(folder: Path, step: str, scores: list[float], scorer: str = "rubric") -> None:
    (folder / step).mkdir(parents=True)
    rows = [
        Judgement("", f"c{n}", scorer, score, [0.0] * 4 + [score / 10], None, [], [], "", "")
        for n, score in enumerate(scores)
    ]
    write_outcome(folder / step, 0, Judgement, Outcome(kept=rows))
    (folder / step / "step.json").write_text("{}")


def test_the_last_round_that_these_scorers_judged_is_known(tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    select, score = Select(min_score=4), Score()
    here.mkdir()
    assert known_scores(here / "score-1", None, score, select) is None
    judge(other, "score-1", [1.0])
    assert known_scores(here / "score-1", other, score, select) == Known((1.0,), "other's score-1")
    rows = [("rubric", "a", 2.5, [0.1, 0.2, 0.3, 0.2, 0.2]), ("rubric", "b", None, [])]
    (here / MEASURED).write_text(json.dumps({"scores": rows}))
    assert known_scores(here / "score-1", None, score, select) == Known((2.5,), "seed pairs with the base model")
    assert known_scores(here / "score-1", None, score, Select(min_probability=0.5)) == Known(
        (0.2,), "seed pairs with the base model"
    )
    judge(here, "score-1", [3.0, 2.0])
    judge(here, "score-2", [4.0, 3.5])
    assert known_scores(here / "score-1", other, score, select) == Known((3.5, 4.0), "here's score-2")
    assert known_scores(here / "score-1", other, score, Select(min_probability=0.3)) == Known(
        (0.35, 0.4), "here's score-2"
    )
    assert known_scores(here / "score-1", other, Score(scorers=["ifd"]), select) is None


def test_a_plan_says_so_before_anything_is_made(tmp_path: Path) -> None:
    text = tmp_path / "page.md"
    text.write_text("# Boats\n\n" + "".join(f"Boat number {n} went down the river to the market. " for n in range(11)))
    changes = [
        f"recipe.corpus.sources=[{{format: markdown, path: {text}}}]",
        f"resources.runs={tmp_path}",
        "resources.device=cpu",
    ]
    rubric = [*changes, "recipe.score.scorers=[rubric]", "recipe.select={min_score: 4.5}", "recipe.corpus.languages=[]"]
    made = Plan(load_recipe(DEMO, rubric))
    (said,) = [note for note in made.notes if "min_score" in note]
    assert "select.min_score 4.5" in said and "about 0 of 1" in said
    assert not [note for note in Plan(load_recipe(DEMO, changes)).notes if "min_score" in note]
