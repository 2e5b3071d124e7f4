"""Self-curation, first half: the forward model judges every candidate (method.md 1.7). Nothing is dropped here."""

from functools import partial

from askback.config import Resources, Score
from askback.curate.scorers import SCORERS, Scorer
from askback.engines import open_engine
from askback.execution.identity import Model, recorded
from askback.execution.processes import report
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.lookup import lookup
from askback.records import Candidate, Judgement, Outcome

PIECE = 32
"""Candidates in a piece of work; see augment.PIECE."""


@recorded(version=1, engine="score", prompts=("rubric",))
def score(step: Step, options: Score, *, model: Model, candidates: Records) -> Records:
    """Write a judgement for every candidate, so that another threshold later costs no model time."""
    return step.map(partial(score_piece, options, step.resources, model), candidates, Judgement, PIECE, "candidates")


def score_piece(options: Score, resources: Resources, model: Model, candidates: list[Candidate]) -> Outcome:
    """In a worker: judge some candidates."""
    engine = open_engine(resources.engine, str(model.path), model.chat_template)
    scorer: Scorer = lookup(SCORERS, options.scorer, "scorer")
    outcome = Outcome()
    for judgement in scorer(engine, model.id, options, candidates):
        outcome.keep("judgements", judgement)
    report(len(candidates), 0)
    return outcome
