"""Lessons for the judge made of people's rankings of replies (method.md 4.1)."""

from dataclasses import replace

from askback.execution.forecast import Forecast
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Judge
from askback.records import Example, Lesson, Provenance, Rejection, exchange, record_id, reject
from askback.seed.load import open_rows, source_fingerprints
from askback.seed.readers import Pair, reader
from askback.text.words import normal

STAGE = "replies"


@recorded(
    version=3,
    prompts=("rubric",),
    sources=lambda options: source_fingerprints(options.ranked),
    forecast=lambda *_: Forecast(),  # how many there are is not known before they are read
)
def load_ranked(step: Step, options: Judge, *, seed: Records[Example]) -> Records[Lesson]:
    """Read the replies of `options.ranked` as lessons: rank 0 is a 5, rank 1 a 4, lower ranks a 3.

    Replies to a held-out pair's instruction are rejected, and pairs longer than `max_chars`. The rubric is part of the
    identity, as in `teach_judge`.
    """
    held_out = {normal(pair.instruction) for pair in seed if pair.split == "held-out"}
    outcome = Outcome[Lesson]()
    for source in options.ranked:
        count = 0
        read = reader(source.format).ranked
        assert read is not None  # the recipe names no other
        for found in read(open_rows(source), "en"):
            # Rows that the reader rejects count in the same stage as replies that cannot be used.
            if isinstance(found, Rejection):
                outcome.drop(replace(found, stage=STAGE))
            elif dropped := _unusable(found, options, held_out):
                outcome.drop(dropped)
            elif count != source.limit:
                outcome.keep(STAGE, _judged(found, source.format))
                count += 1
    return step.write(Lesson, [outcome])


def _unusable(pair: Pair, options: Judge, held_out: set[str]) -> Rejection | None:
    size = len(pair.instruction) + len(pair.output)
    if normal(pair.instruction) in held_out:
        return reject(record_id(pair.where), STAGE, "held-out", "answers a held-out instruction", uri=pair.where)
    if size > options.max_chars:
        detail = f"{size} characters, at most {options.max_chars}"
        return reject(record_id(pair.where), STAGE, "too-long", detail, uri=pair.where)
    return None


def _judged(pair: Pair, source: str) -> Lesson:
    instruction, output = pair.instruction.strip(), pair.output.strip()
    provenance = Provenance(pair.where, source, pair.licence, pair.language)
    id = record_id("judgement", instruction, output)
    return Lesson(id, exchange(instruction, output), provenance, float(max(3, 5 - pair.rank)))
