"""A trial of a judge where there are no seed pairs: candidates as they are, and with each other's instructions (ours)."""

import heapq
from itertools import pairwise

from askback.curate.damage import Pair
from askback.curate.teach import probe
from askback.execution.forecast import Forecast, ForecastContext, Pairs
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Judge
from askback.records import Candidate, Probe, draw


def forecast(options: Judge, context: ForecastContext) -> Forecast:
    """Make two probes of each candidate that is taken."""
    candidates = context.pairs("candidates")
    count = min(options.probes, candidates.count)
    return Forecast(Pairs(2 * count, candidates.sample), count)


@recorded(version=1, forecast=forecast)
def swap_instructions(step: Step, options: Judge, *, candidates: Records[Candidate]) -> Records[Probe]:
    """Make two probes of each of `options.probes` candidates, drawn by their ids: "true", and "swapped".

    A swapped one has the instruction of the candidate drawn after it, of another document where there is one. Whether a
    judge notices is all that this shows: a true probe may be a bad pair, and nobody has said that it is a good one.
    """
    drawn = heapq.nsmallest(options.probes, candidates, key=lambda one: draw(step.random_seed, "judge", one.id))
    outcome = Outcome[Probe]()
    for at, (one, after) in enumerate(pairwise([*drawn, *drawn[:1]])):
        others = [*drawn[at + 1 :], *drawn[:at]]
        other = next((found for found in others if found.provenance.uri != one.provenance.uri), after)
        outcome.keep("probes", probe(one, "true", Pair(one.instruction, one.output)))
        if other.instruction != one.instruction:
            outcome.keep("probes", probe(one, "swapped", Pair(other.instruction, one.output)))
    return step.write(Probe, [outcome])
