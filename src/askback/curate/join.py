"""The blocks of candidates, or of judgements, as one step, which all that looks at a run knows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from askback.execution.forecast import Forecast, ForecastContext
from askback.execution.identity import recorded
from askback.execution.outcome import Counts, Outcome
from askback.execution.shards import Records, whole_outcomes
from askback.execution.step import LARGEST_PIECE, Step
from askback.recipe import Asking
from askback.records import Candidate, Judgement, Segment, reject

STAGE = "segments"
WHY = "enough pairs were chosen before, or as many instructions asked for as may be"


def forecast(options: Asking, context: ForecastContext) -> Forecast:
    """Count what the blocks make; what they take is theirs."""
    parts = context.inputs["parts"]
    made = replace(parts[0], count=sum(part.count for part in parts))
    entered = context.pairs("segments").count if "segments" in context.inputs else made.count
    return Forecast(made, entered)


@recorded(version=1, forecast=forecast)
def join_candidates(
    step: Step, options: Asking, *, parts: Sequence[Records[Candidate]], segments: Records[Segment]
) -> Records[Candidate]:
    """Join blocks of candidates; segments from place `options.first` on, which none of them asked about, are not needed."""

    def outcomes() -> Iterator[Outcome[Candidate]]:
        asked = min(options.first, len(segments))
        yield Outcome(counts={STAGE: Counts(asked, asked)})
        for part in parts:
            yield from whole_outcomes(part.folder)
        for piece in segments.cut_drawn(step.random_seed, asked, None, LARGEST_PIECE):
            rest = Outcome[Candidate]()
            for one in piece:
                rest.drop(reject(one.id, STAGE, "not-needed", WHY, uri=one.provenance.uri))
            yield rest

    return step.write(Candidate, outcomes())


@recorded(version=1, forecast=forecast)
def join_judgements(step: Step, options: Asking, *, parts: Sequence[Records[Judgement]]) -> Records[Judgement]:
    """Join blocks of judgements."""
    return step.write(Judgement, (outcome for part in parts for outcome in whole_outcomes(part.folder)))
