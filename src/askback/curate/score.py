"""Self-curation, first half: the forward model judges every candidate (method.md 1.7). Nothing is dropped here."""

from collections.abc import Iterable
from functools import partial

from askback.curate.scorers import packages, scorer
from askback.curate.scorers.trial import check_calls, used_prompts
from askback.engines.worker_context import WorkerContext
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Resources, Score
from askback.records import Candidate, Judgement, Probe

PIECE = 32
"""Candidates in a piece of work of a small run, as in augment/write.py."""


@recorded(version=4, engine="score", prompts=used_prompts, sources=packages)
def score(step: Step, options: Score, *, model: Model, candidates: Records[Candidate | Probe]) -> Records[Judgement]:
    """Write a judgement of every candidate by every scorer; another threshold later costs no model time."""
    work = partial(score_piece, options, step.resources, model, step.random_seed)
    return step.map(work, step.cut(candidates, PIECE), Judgement, "candidates")


def score_piece(
    options: Score,
    resources: Resources,
    model: Model,
    random_seed: int,
    worker: WorkerContext,
    piece: Iterable[Candidate | Probe],
) -> Outcome[Judgement]:
    """In a worker: judge some candidates."""
    candidates = list(piece)
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    check_calls(options, resources.engine.kind, engine.calls)
    outcome = Outcome[Judgement]()
    for name in options.scorers:
        for judgement in scorer(name).judge(engine, model.id, options, candidates, random_seed):
            outcome.keep("judgements", judgement)
    worker.report(len(candidates))
    return outcome
