"""Preference pairs: a rewrite is chosen before its original where the judge prefers it and length cannot be why."""

from collections.abc import Iterable
from functools import partial
from statistics import fmean

from askback import prompts
from askback.engines.preference import read_verdicts
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Preferring, Resources
from askback.records import Example, fail, reject

PIECE = 32
STAGE = "preferences"


def forecast(options: Preferring, context: ForecastContext) -> Forecast:
    """Count on every pair being compared, twice."""
    pairs, ruler = context.pairs("pairs"), context.base.ruler
    read = mean(ruler.prompt(prompts.pairwise(asked, output, output)) for asked, output in pairs.sample)
    return Forecast(pairs, pairs.count, Tokens(round(2 * pairs.count * read)))


@recorded(version=1, engine="score", prompts=("pairwise",), forecast=forecast, may_be_empty=True)
def prefer_rewrites(step: Step, options: Preferring, *, model: Model, pairs: Records[Example]) -> Records[Example]:
    """Keep the pairs whose rewrite the judge prefers to its `original`, in both orders, of those of equal length."""
    work = partial(prefer_piece, options, step.resources, model)
    return step.map(work, step.cut(pairs, PIECE), Example, "pairs")


def prefer_piece(
    options: Preferring, resources: Resources, model: Model, worker: WorkerContext, piece: Iterable[Example]
) -> Outcome[Example]:
    """In a worker: have some rewrites compared with their originals."""
    pairs, outcome, compared = list(piece), Outcome[Example](), list[Example]()
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    for pair in pairs:
        longer, shorter = sorted((len(pair.output), len(pair.original)), reverse=True)
        if pair.output.strip() == pair.original.strip():
            outcome.drop(reject(pair.id, STAGE, "unchanged", uri=pair.provenance.uri))
        elif longer <= options.max_length_ratio * shorter:
            compared.append(pair)
        else:
            detail = f"{len(pair.output)} characters, the original {len(pair.original)}"
            outcome.drop(reject(pair.id, STAGE, "length", detail, uri=pair.provenance.uri))
    questions = []
    for pair in compared:
        both = [engine.truncate(text, options.max_output_tokens) for text in (pair.output, pair.original)]
        questions += [prompts.pairwise(pair.instruction, *both), prompts.pairwise(pair.instruction, *reversed(both))]
    verdicts = iter(read_verdicts(engine, questions))
    for pair, one, two in zip(compared, verdicts, verdicts, strict=True):
        if one.of_first is None or two.of_first is None:
            outcome.drop(fail(pair.id, STAGE, "unscored", one.raw or two.raw, uri=pair.provenance.uri))
            continue
        preference = [one.of_first, 1 - two.of_first]
        if min(preference) > 0.5:
            outcome.keep(STAGE, pair)
        else:
            detail = f"preference for the rewrite {fmean(preference):.2f}, in the two orders {preference[0]:.2f} and "
            outcome.drop(
                reject(pair.id, STAGE, "not-preferred", f"{detail}{preference[1]:.2f}", uri=pair.provenance.uri)
            )
    worker.report(len(pairs))
    return outcome
