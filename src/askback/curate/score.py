"""Self-curation, first half: the forward model judges every candidate (method.md 1.7). Nothing is dropped here."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Never

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
from askback.records import Candidate, Judgement, Probe, record_id

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


@recorded(version=5, engine="score", prompts=used_prompts, sources=packages, check=check_engine, forecast=forecast)
def score(
    step: Step,
    options: Score,
    *,
    model: Model,
    candidates: Records[Candidate | Probe],
    probes: Records[Probe] | None = None,
    probed: Records[Judgement] | None = None,
    taught: Records[Never] | None = None,
) -> Records[Judgement]:
    """Write a judgement of every candidate by every scorer; another threshold later costs no model time.

    Args:
        probes: of candidates as they are (swap.py), whose judgements by the same model, `probed`, are taken over.
        taught: the judge of the scorer `probe` (teach_probe.py).
    """
    options = options.model_copy(update={"probe": str(taught.folder)}) if taught is not None else options
    known = _by_candidate(probes or (), probed or ())
    work = partial(score_piece, options, step.resources, model, step.random_seed, known=known)
    return step.map(work, step.cut(candidates, PIECE), Judgement, "candidates")


Known = Mapping[tuple[str, str], Judgement]
"""(id of a candidate, scorer) → its judgement."""


def _by_candidate(probes: Iterable[Probe], probed: Iterable[Judgement]) -> Known:
    candidates = {probe.id: probe.pair_id for probe in probes if probe.kind == "true"}
    return {
        (id, one.scorer): replace(one, id=record_id(id, one.scorer, one.prompt_id, one.model_id), candidate_id=id)
        for one in probed
        if (id := candidates.get(one.candidate_id))
    }


def score_piece(
    options: Score,
    resources: Resources,
    model: Model,
    random_seed: int,
    worker: WorkerContext,
    piece: Iterable[Candidate | Probe],
    known: Known = MappingProxyType({}),
) -> Outcome[Judgement]:
    """In a worker: judge some candidates, those left out whose judgements are known."""
    candidates = list(piece)
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    check_calls(options.asked(), resources.engine.kind, engine.calls)
    outcome = Outcome[Judgement]()
    for name in options.scorers:
        asked = [one for one in candidates if (one.id, name) not in known]
        found = iter(scorer(name).judge(engine, model.id, options, asked, random_seed))
        for one in candidates:
            outcome.keep("judgements", known.get((one.id, name)) or next(found))
    worker.report(len(candidates))
    return outcome
