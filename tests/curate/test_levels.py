"""An expected level, the probability of the highest one and a sampled digit, side by side and told apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.curate.levels import by_highest_level, described, spreads
from askback.curate.scorers.trial import check_calls
from askback.curate.select import select
from askback.engines.protocol import CALLS
from askback.errors import EmptyStep, RecipeError
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records, write_outcome
from askback.recipe import RecipeFile, Score, Select
from askback.recipe.file import load_recipe
from askback.records import Candidate, Judgement, Provenance, exchange

PAPERS = [0.02, 0.05, 0.13, 0.30, 0.50]
SURE = [0.0, 0.0, 0.0, 0.05, 0.95]
MIDDLING = [0.1, 0.2, 0.4, 0.2, 0.1]
SPLIT = [0.45, 0.0, 0.0, 0.0, 0.55]
LOW = [0.9, 0.1, 0.0, 0.0, 0.0]


def judgement(id: str, shares: list[float], scorer: str = "rubric") -> Judgement:
    score = sum(level * share for level, share in enumerate(shares, 1)) if shares else 0.3
    return Judgement(f"j{id}", id, scorer, score, shares, None, [], [], "", "")


def records(folder: Path, kind: type, found: list[Any]) -> Records[Any]:
    folder.mkdir(parents=True)
    write_outcome(folder, 0, kind, Outcome[Any](kept=found))
    return Records[Any](folder, folder.name, frozenset({folder.name}))


def selected(folder: Path, options: Select, shares: list[list[float]]) -> dict[str, float]:
    candidates = [
        Candidate(f"c{n}", exchange(f"What of {n}?", "So."), Provenance("u/x", language="en"), [], "", "", 0)
        for n in range(len(shares))
    ]
    judged = [judgement(f"c{n}", own) for n, own in enumerate(shares)]
    inputs = {
        "seed": {"sources": [{"path": "builtin:demo"}]},
        "corpus": {"sources": [{"format": "text", "path": __file__}]},
    }
    file = {"name": "run", "recipe": inputs, "resources": {"runs": str(folder / "runs")}}
    given = records(folder / "candidates", Candidate, candidates), records(folder / "judged", Judgement, judged)
    with Run(RecipeFile.model_validate(file)) as run:
        run.begin()
        made = run.step("select-1", select, options, candidates=given[0], judgements=given[1])
    return {one.id: one.score or 0.0 for one in made}


def test_half_of_the_digits_may_be_a_5_and_the_expected_level_4_21() -> None:
    (spread,) = spreads([judgement("a", PAPERS)])
    assert spread.highest == pytest.approx(4.21) and spread.sampled == 0.5 and spread.likely == 1.0
    assert "4.21" in described(spread) and "50.0%" in described(spread) and "100.0%" in described(spread)


def test_a_spread_has_quantiles_and_both_shares_for_levels_alone() -> None:
    shares = [PAPERS, SURE, MIDDLING, SPLIT, LOW]
    found = {one.scorer: one for one in spreads([judgement(f"c{n}", own) for n, own in enumerate(shares)])}
    rubric = found["rubric"]
    assert rubric.scored == 5 and rubric.low == pytest.approx(1.1) and rubric.highest == pytest.approx(4.95)
    assert rubric.median == pytest.approx(3.2) and rubric.sampled == pytest.approx((0.5 + 0.95 + 0.1 + 0.55) / 5)
    assert rubric.likely == 3 / 5
    (ifd,) = spreads([judgement("c", [], "ifd")])
    assert ifd.sampled is None and ifd.likely is None and "sampled" not in described(ifd)
    (none,) = spreads([Judgement("j", "c", "rubric", None, [], None, [], [], "", "")])
    assert (none.scored, none.unscored, none.highest) == (0, 1, 0.0)


def test_a_least_probability_chooses_what_a_least_level_does_not(tmp_path: Path) -> None:
    shares = [PAPERS, SURE, MIDDLING, SPLIT, LOW]
    by_level = selected(tmp_path / "a", Select(min_score=4.5), shares)
    by_probability = selected(tmp_path / "b", Select(min_probability=0.5), shares)
    assert set(by_level) == {"c1"} and set(by_probability) == {"c0", "c1", "c3"}
    assert by_probability["c3"] == 0.55, "the score is what was gone by"
    assert set(selected(tmp_path / "c", Select(min_probability=0.9), shares)) == {"c1"}
    assert [one.score for one in by_highest_level([judgement("a", PAPERS), judgement("b", [])])] == [0.5, None]


@pytest.mark.parametrize(
    ("options", "shares", "words"),
    [
        (
            Select(min_score=4.5),
            [MIDDLING] * 6 + [PAPERS] * 2,
            ["min_score is 4.5", "3.00 to 4.21", "4.21 would choose 2"],
        ),
        (Select(min_score=4.9), [LOW] * 9 + [SPLIT], ["1.10 to 3.20", "not-chosen 10", "3.20 would choose 1"]),
        (Select(min_score=5), [SURE] * 3, ["4.95 to 4.95", "4.95 would choose 3"]),
        (Select(min_probability=0.6), [PAPERS, SPLIT], ["min_probability is 0.6", "0.50 to 0.55"]),
        (Select(min_probability=1.0), [SURE, LOW], ["0.00 to 0.95", "0.95 would choose 1"]),
    ],
)
def test_a_threshold_that_chooses_none_is_told_with_the_scores(
    options: Select, shares: list[list[float]], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(EmptyStep) as refused:
        selected(tmp_path, options, shares)
    assert refused.value.exit_code == 4
    for word in [*words, f"none of {len(shares)} candidates", "top_fraction or top_n"]:
        assert word in str(refused.value)
    # Another threshold goes on in the same folder, and nothing is made again for it.
    made = json.loads((tmp_path / "runs/run/select-1/plan.json").read_text())
    assert made["identity"]["options"]["min_score"] == options.min_score
    assert not list((tmp_path / "runs/run/select-1").glob("kept-*"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["recipe.score.scorers=[ifd]"], "select.min_probability is that of the highest level of one scorer"),
        (["recipe.score.scorers=[rubric, additive]"], "rubric, additive; let one alone count"),
        (["recipe.score.scorers=[whole]"], "those that count are whole"),
        (["recipe.score.scorers=[rubric]", "recipe.select.min_score=4"], "exactly one"),
        (["recipe.score.scorers=[rubric]", "recipe.select.min_probability=1.5"], "less than or equal to 1"),
        (["recipe.score.scorers=[rubric]", "recipe.select.min_probability=[0.5, 0.6, 0.7]"], "3 values for 2 rounds"),
    ],
)
def test_a_least_probability_that_means_nothing_is_refused(changes: list[str], said: str) -> None:
    demo = Path(__file__).parents[2] / "recipes/demo.yaml"
    with pytest.raises(RecipeError, match=said):
        load_recipe(demo, ["recipe.rounds=2", "recipe.select={min_probability: 0.5}", *changes])


def test_a_least_probability_needs_an_engine_that_tells_probabilities() -> None:
    options, select = Score(), Select(min_probability=0.5)
    assert check_calls(options, "e", CALLS, select) == []
    with pytest.raises(RecipeError, match=r"min_probability needs the probabilities of given words.*'e'"):
        check_calls(options, "e", {"generate"}, select)
    (note,) = check_calls(options, "e", {"generate"}, Select(min_score=4))
    assert "parse the score from the answer's text" in note


def test_a_least_probability_may_be_one_for_each_round() -> None:
    demo = Path(__file__).parents[2] / "recipes/demo.yaml"
    changes = [
        "recipe.rounds=2",
        "recipe.score.scorers=[rubric, ifd]",
        "recipe.select={min_probability: [0.5, 0.6], weights: {rubric: 1}}",
    ]
    file = load_recipe(demo, changes)
    assert [file.recipe.select.of_round(t).min_probability for t in (1, 2)] == [0.5, 0.6]
