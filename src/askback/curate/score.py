"""Self-curation, first half: the forward model judges every candidate (method.md 1.7). Nothing is dropped here."""

from collections.abc import Iterable
from functools import partial

from askback.curate.scorers import packages, scorer
from askback.curate.scorers.trial import Noting, check_calls, pair, tried, used_prompts
from askback.engines import kind_of
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, Pairs
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Recipe, Resources, Score
from askback.records import Candidate, Judgement, Probe

PIECE = 32
"""Candidates in a piece of work of a small run, as in augment/write.py."""


def check_engine(options: Score, recipe: Recipe, engine: str, calls: frozenset[str]) -> list[str]:
    """Return what the scorers, and the choice by their scores, have to do without on an engine (`check_calls`)."""
    return check_calls(options, engine, calls, recipe.select)


def forecast(options: Score, context: ForecastContext) -> Forecast:
    """Have the scorers judge a sample, to see what they read and write; a reasoning is as long as it may be."""
    candidates = context.pairs("candidates")
    engine, ruler = Noting(kind_of(context.file.resources.engine_for("score").kind).calls), context.base.ruler
    shown = [
        pair(str(number), instruction, ruler.truncate(output, options.max_output_tokens))
        for number, (instruction, output) in enumerate(candidates.sample)
    ]
    for name in options.scorers:
        tried(name, options, engine, shown)
    read = sum(ruler.prompt(prompt) + (ruler.answer(text) if text else 0) for prompt, text in engine.read)
    share = candidates.count / max(1, len(shown))
    tokens = Tokens(round(share * read), round(share * engine.written))
    return Forecast(Pairs(candidates.count * len(options.scorers)), candidates.count, tokens)


@recorded(version=4, engine="score", prompts=used_prompts, sources=packages, check=check_engine, forecast=forecast)
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
