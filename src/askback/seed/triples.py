"""What a rewriter learns from: triples of a text, a question, and the answer that the text gives to it (method.md 3.3)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from askback.execution.forecast import Forecast, ForecastContext, Pairs, spread
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.inputs.json_values import filled
from askback.inputs.rows import BrokenRow, Rows
from askback.recipe import RowSource, Triples
from askback.records import Example, Provenance, Rejection, draw, exchange, record_id, reject
from askback.seed.load import HELD_OUT, TRAIN, open_rows, source_fingerprints
from askback.seed.readers import Pair
from askback.seed.readers.fields import broken
from askback.seed.readers.pairs import read_pairs
from askback.text.words import normal

STAGE = "triples"
TEXTS = ("context", "text", "passage", "document", "source", "original", "input")
"""Fields of a row's text; the first that holds something counts. Question and answer are as in `seed/readers/pairs.py`."""
PASSAGE = 600
"""Largest number of characters of a passage that is put beside an answer."""
MADE = (
    "no triples are given, so the rewriter learns from the seed's own answers, set among passages of others: it learns to "
    "find and take over what answers, and no other wording; give people's or a strong model's under triples.sources"
)


def forecast(options: Triples, context: ForecastContext) -> Forecast:
    """Read the files, as the step does, or lengthen the seed's pairs by a passage each, which is the mean."""
    if options.sources:
        made = read_triples(options.sources, frozenset())
        sample = spread([(one.instruction, one.output) for one in made.kept])
        texts = spread([one.original for one in made.kept])
        return Forecast(Pairs(len(made.kept), sample, texts=texts), sum(c.entered for c in made.counts.values()))
    seed = context.pairs("seed")
    outputs = [output for _, output in seed.sample]
    texts = tuple(f"{one}\n\n{passage(other)}" for one, other in zip(outputs, outputs[1:] + outputs[:1], strict=True))
    return Forecast(Pairs(seed.count, seed.sample, texts=texts), seed.count, notes=(MADE,))


@recorded(version=1, sources=lambda options: source_fingerprints(options.sources), forecast=forecast)
def load_triples(step: Step, options: Triples, *, seed: Records[Example]) -> Records[Example]:
    """Read the triples of `options.sources`, or make them of the seed's pairs where there are none.

    The text is the `original` of a record. Triples with a held-out pair's question are rejected.
    """
    if options.sources:
        held_out = frozenset(normal(one.instruction) for one in seed if one.split == HELD_OUT)
        return step.write(Example, [read_triples(options.sources, held_out)])
    return step.write(Example, [make_triples([one for one in seed if one.split == TRAIN], step.random_seed)])


def read_triples(sources: Sequence[RowSource], held_out: frozenset[str]) -> Outcome[Example]:
    """Return the triples of files: each row has a text in one of `TEXTS`, and a pair beside it."""
    outcome, seen = Outcome[Example](), set[str]()
    for source in sources:
        count = 0
        for text, found in _rows(open_rows(source)):
            if isinstance(found, Rejection):
                outcome.drop(replace(found, stage=STAGE))
                continue
            one = _triple(text, found, source)
            if why := _unusable(one, held_out, seen):
                outcome.drop(reject(one.id, STAGE, *why, uri=found.where, text=found.instruction))
                continue
            if count == source.limit:
                break
            outcome.keep(STAGE, one)
            seen.add(one.id)
            count += 1
    return outcome


def _rows(rows: Rows) -> Iterator[tuple[str, Pair | Rejection]]:
    """Yield each pair of the rows with its text, and each row without one as a rejection."""
    for where, row in rows:
        if isinstance(row, BrokenRow):
            yield "", broken(where, str(row))
            continue
        fields = {str(name).lower(): value for name, value in row.items()}
        name = next((name for name in TEXTS if filled(fields.get(name))), None)
        if name is None or not isinstance(fields[name], str):
            yield (
                "",
                broken(where, f"expected a text under {', '.join(TEXTS[:3])} …, found keys {', '.join(fields)[:200]}"),
            )
            continue
        for found in read_pairs(iter([(where, {key: value for key, value in fields.items() if key != name})]), ""):
            yield fields[name], found


def _triple(text: str, pair: Pair, source: RowSource) -> Example:
    asked, answer = pair.instruction.strip(), pair.output.strip()
    about = Provenance(pair.where, f"triples:{source.path}", pair.licence or source.licence, pair.language)
    id = record_id("triple", text.strip(), asked, answer)
    return Example(id, exchange(asked, answer), about, "seed", "train", original=text.strip())


def _unusable(one: Example, held_out: frozenset[str], seen: set[str]) -> tuple[str, str] | None:
    """Return the rule and detail by which a triple is not used, or None."""
    if not one.instruction or not one.output or not one.original:
        return "empty", "text, question or answer is empty"
    if one.id in seen:
        return "duplicate", "an earlier row is the same"
    if normal(one.instruction) in held_out:
        return "held-out", "answers a held-out instruction of the seed"
    return None


def make_triples(pairs: Sequence[Example], random_seed: int) -> Outcome[Example]:
    """Return triples whose text is a pair's own answer with a passage of another's before it, after it, both or neither,
    a quarter each (ours).

    So every answer is borne out by its text, and what else is there does not belong to it. A conversation of several
    exchanges is left out, as its last question leans on the others.
    """
    outcome = Outcome[Example]()
    for at, one in enumerate(pairs):
        if len(one.messages) != 2:
            outcome.drop(reject(one.id, STAGE, "several-exchanges", uri=one.provenance.uri, text=one.instruction))
            continue
        sides = draw(random_seed, "sides", one.id) % 4
        around = [_other(pairs, at, draw(random_seed, side, one.id)) for side in ("before", "after")]
        parts = [around[0] if sides & 1 else "", one.output, around[1] if sides & 2 else ""]
        text = "\n\n".join(filter(None, parts))
        outcome.keep(STAGE, replace(one, id=record_id("triple", one.id), original=text))
    return outcome


def _other(pairs: Sequence[Example], at: int, drawn: int) -> str:
    """Return a passage of a pair that is not the one at this place, "" where it has none."""
    return passage(pairs[(at + 1 + drawn % (len(pairs) - 1)) % len(pairs)].output) if len(pairs) > 1 else ""


def passage(text: str) -> str:
    """Return the first paragraphs of a text, `PASSAGE` characters at most; "" where they would cut code in two."""
    kept = ""
    for paragraph in text.split("\n\n"):
        longer = f"{kept}\n\n{paragraph}".strip()
        if len(longer) > PASSAGE:
            break
        kept = longer
    return "" if kept.count("```") % 2 else kept
