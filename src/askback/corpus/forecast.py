"""What the corpus room will find: documents are counted, and the first of each source cut, for a few seconds."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from askback.corpus import cut
from askback.corpus.apart import read_apart
from askback.corpus.dedup import deduplication_bytes
from askback.corpus.natural import is_natural
from askback.corpus.readers import pieces as pieces_of
from askback.corpus.readers import reader
from askback.corpus.watched import Reading
from askback.execution.forecast import Forecast, ForecastContext, Pair, Pairs, spread
from askback.execution.outcome import Outcome
from askback.execution.step import nothing_kept
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.recipe.inputs import PRESETS
from askback.recipe.variables import hide
from askback.records import Document, Rejection, Segment

SAMPLE_DOCUMENTS = 200
SAMPLE_SECONDS = 3.0
BY_WEB = "segments that preset web keeps"


def forecast_of_segments(options: Corpus, context: ForecastContext) -> Forecast:
    """Count documents, and estimate segments from the first of each source.

    Where all of it is looked at, and nothing is kept, that is refused.
    """
    documents: dict[str, int] = {}
    segments, found_pairs, natural, whole_corpus = 0.0, list[Pair](), 0, True
    cut_so_far = Outcome[Segment]()
    for source in options.sources:
        pieces = pieces_of(source)
        found, sampled, ended, outcome = _look(source, pieces, options)
        count = round(found * source.sample)
        whole_corpus &= ended and count == sampled
        cut_so_far.add(outcome)
        kept = outcome.kept
        documents[hide(f"{source.format} {source.path}".strip())] = count
        segments += len(kept) / max(1, sampled) * count
        found_pairs += [("", segment.text) for segment in kept]
        natural += sum(map(is_natural, kept))
    with context.refusals.noted():
        if whole_corpus and not found_pairs:
            raise nothing_kept(context.folder, cut_so_far.counts, cut_so_far.reasons)
    notes = (_more(segments, len(found_pairs), cut_so_far),) if options.preset == "paper" and found_pairs else ()
    made = Pairs(round(segments), spread(found_pairs), natural=natural / max(1, len(found_pairs)))
    return Forecast(made, sum(documents.values()), documents=documents, notes=notes)


def _more(segments: float, kept: int, outcome: Outcome[Segment]) -> str:
    more = (outcome.tallies[BY_WEB] - kept) / kept * segments
    return f"preset web would keep about {segments + more:,.0f} segments, the paper's rules {segments:,.0f}"


def forecast_of_unique(options: Corpus, context: ForecastContext) -> Forecast:
    """Count on no duplicates, whose share is not known before all segments are there."""
    segments = context.pairs("segments")
    held_out = round(segments.count * options.held_out)
    made = replace(
        segments,
        count=min(segments.count - held_out, options.limit or segments.count),
        held_out=min(held_out, options.held_out_limit),
    )
    return Forecast(made, segments.count, scratch=deduplication_bytes(segments.count, options.duplicate_jaccard))


def _look(
    source: CorpusSource, pieces: Sequence[tuple[list[File], Any]], options: Corpus
) -> tuple[int, int, bool, Outcome[Segment]]:
    """Return how many documents a source holds, how many of them were cut, whether all were read in `SAMPLE_SECONDS`, and
    what was cut."""
    # A small sample would have the whole source read, so what is looked at is its beginning.
    most = source.limit and math.ceil(source.limit / source.sample)
    whole = source.model_copy(update={"sample": 1.0, "limit": most})
    deadline = time.monotonic() + SAMPLE_SECONDS
    count, sampled, outcome = 0, 0, Outcome[Segment]()
    by_web = options.model_copy(update=PRESETS["web"])

    def first(documents: Iterator[Document | Rejection]) -> tuple[Outcome[Segment], int, int]:
        """In the process apart, which goes on counting what it was given with `sampled`."""
        nonlocal sampled
        before = sampled
        found = list(islice(documents, SAMPLE_DOCUMENTS - sampled))
        made = cut(found, options)
        if options.preset == "paper":
            made.tally(BY_WEB, len(cut(found, by_web).kept))
        sampled += sum(counts.entered for stage, counts in made.counts.items() if stage == "documents")
        return made, sampled - before, sum(1 for _ in documents)

    for done, (paths, span) in enumerate(pieces):
        for made, was_cut, more in read_apart(Reading(whole, paths, options, span=span), first):
            outcome.add(made)
            count, sampled = count + was_cut + more, sampled + was_cut
            if time.monotonic() > deadline:
                return _total(source, pieces, most, count, done), sampled, False, outcome
    return count, sampled, True, outcome


def _total(
    source: CorpusSource, pieces: Sequence[tuple[list[File], Any]], most: int | None, count: int, done: int
) -> int:
    """Return the documents of a source, at most `most` of a piece; `count` were found, `done` pieces read to their end."""
    known = reader(source.format)
    if known.lot or known.count:
        sizes = [known.count() if known.count else len(paths) for paths, _ in pieces]
        return sum(size if most is None else min(size, most) for size in sizes)
    # What was not reached is taken to be like what was.
    return round(count * len(pieces) / max(done, 1))
