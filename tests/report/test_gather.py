"""What a report shows of a run is what its records say."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from askback.execution.shards import Records
from askback.records import Judgement
from askback.report.gather import _judged, gather


def test_what_a_run_holds(planted: Path) -> None:
    view = gather(planted)
    assert view.name == "planted" and not view.stale
    chosen = [{pair.id for pair in Records[Any](planted / f"select-{t}", "")} for t in (1, 2)]
    (moved,) = view.movements
    assert (moved.round, moved.chosen, moved.came, moved.left) == (2, 3, 0, 3)
    assert moved.shared == 1 and moved.jaccard == 0.5 == len(chosen[0] & chosen[1]) / len(chosen[0] | chosen[1])
    assert {where: len(points) for where, points in moved.points.items()} == {
        "not chosen": 6,
        "chosen in both": 3,
        "came": 0,
        "left": 3,
    }
    scores = [one.score for one in Records[Any](planted / "score-1", "") if one.scorer == "rubric"]
    spread = next(one for t, one in view.spreads if (one.scorer, t) == ("rubric", 1))
    assert spread.scored == 12 and spread.unscored == 0
    assert spread.mean == pytest.approx(statistics.fmean(scores))
    assert spread.low <= spread.median <= spread.high <= spread.highest == max(scores)
    top = [one.distribution[-1] for one in Records[Any](planted / "score-1", "") if one.scorer == "rubric"]
    assert spread.sampled == pytest.approx(statistics.fmean(top))
    assert spread.likely == sum(share >= 0.5 for share in top) / len(top)

    asked = view.diversity["seed"]
    assert asked.looked_at == 60 and asked.coverage == 1 and list(asked.top[0][:2]) == ["write", 60]
    assert view.losses["held-out"]["m1"]["against_m0"]["difference"] == 0, "copies of one model"
    assert len(view.study["points"]) == 6 and len(view.calibrations) == 1
    assert view.evaluation["win_rates"]
    kinds = {(one.kind, one.why) for one in view.samples}
    assert {("moved", "left in round 2"), ("rejected", "not-chosen"), ("chosen", "")} <= kinds
    told = next(one.detail for one in view.samples if one.kind == "moved")
    before, after = told.split(" → ")
    assert before == after, "the scripted judge says the same in both rounds"


def test_an_evaluation_of_models_that_are_gone_is_left_out(other: Path) -> None:
    view = gather(other)
    assert view.stale and view.evaluation == {} and view.name == "other"
    assert view.diversity["seed"].top[0][:2] == ("write", 60), "then counted here"


def test_scores_are_those_that_the_choice_goes_by(made_run: Path) -> None:
    records = list(Records[Judgement](made_run / "score-1", ""))
    for select, wanted in (
        ({}, {one.candidate_id: one.score for one in records}),
        ({"min_probability": 0.5}, {one.candidate_id: one.distribution[-1] for one in records if one.distribution}),
    ):
        _, combined = _judged(made_run / "score-1", select)
        assert {id: score for id, score in combined.items() if score is not None} == pytest.approx(wanted)
