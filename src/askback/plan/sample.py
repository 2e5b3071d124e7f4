"""What a step will find: how many records, and a few of them, as far as that is known before the step is made."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from askback.execution.on_disk import step_record
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import nothing_kept
from askback.inputs.remote import File
from askback.methods import names
from askback.plan.refusals import Refusals
from askback.recipe import Augment, Corpus, CorpusSource, Judge, Seed
from askback.records import Candidate, Document, Example, Rejection, Segment

SAMPLE_DOCUMENTS = 200
SAMPLE_SECONDS = 3.0
SAMPLE_PAIRS = 64
"""So many are tokenised; a mean over them is off by a tenth at most, and it takes a fraction of a second."""

Pair = tuple[str, str]
"""Instruction and output; a segment has no instruction yet."""


@dataclass(frozen=True)
class Pairs:
    """How many records, some of them, and what they are in a training (see records.Example)."""

    count: int = 0
    sample: tuple[Pair, ...] = ()
    held_out: int = 0
    origin: str = "seed"
    tried: tuple[Pair, ...] = ()
    """Of the seed, all held-out pairs."""

    @property
    def chars(self) -> float:
        """Return the mean number of characters of a record."""
        return sum(len(instruction) + len(output) for instruction, output in self.sample) / max(1, len(self.sample))


def spread(pairs: list[Pair]) -> tuple[Pair, ...]:
    """Return `SAMPLE_PAIRS` of these at most, from all over."""
    return tuple(pairs[:: -(-len(pairs) // SAMPLE_PAIRS) or 1])


def of_seed(options: Seed, refusals: Refusals) -> Pairs:
    """Return the seed pairs, of which all are read."""
    from askback.seed.load import check_sides, gather

    outcome = gather(options)
    with refusals.noted():
        check_sides(outcome, options)
    pairs = [(one.instruction, one.output) for one in outcome.kept]
    tried = tuple(pair for pair, one in zip(pairs, outcome.kept, strict=True) if one.split == "held-out")
    return Pairs(len(pairs) - len(tried), spread(pairs), len(tried), tried=tried)


def of_corpus(options: Corpus, folder: Path, refusals: Refusals) -> tuple[dict[str, int], Pairs]:
    """Count documents and estimate segments from the first documents of each source, for a few seconds.

    Where all of it is looked at, and nothing is kept, that is refused.

    Args:
        folder: of the step that is to cut it.
    """
    from askback.corpus.readers import pieces as pieces_of

    documents: dict[str, int] = {}
    segments, found_pairs, whole_corpus = 0.0, list[Pair](), True
    cut_so_far = Outcome[Segment]()
    for source in options.sources:
        pieces = pieces_of(source)
        count, sampled, done, outcome = _look(source, pieces, options)
        # What was not reached is taken to be like what was.
        count = round(count * len(pieces) / max(done, 1)) if done < len(pieces) else count
        count = round(count * source.sample)
        whole_corpus &= done == len(pieces) and count == sampled
        cut_so_far.add(outcome)
        kept = outcome.kept
        documents[f"{source.format} {source.path}".strip()] = count
        segments += len(kept) / max(1, sampled) * count
        found_pairs += [("", segment.text) for segment in kept]
    with refusals.noted():
        if whole_corpus and not found_pairs:
            raise nothing_kept(folder, cut_so_far.counts, cut_so_far.reasons)
    return documents, Pairs(round(segments), spread(found_pairs))


def _look(
    source: CorpusSource, pieces: Sequence[tuple[list[File], Any]], options: Corpus
) -> tuple[int, int, int, Outcome[Segment]]:
    """Return how many documents were found in `SAMPLE_SECONDS`, how many of them were cut, how many pieces were read to
    their end, and what was cut."""
    from askback.corpus import cut
    from askback.corpus.apart import read_apart
    from askback.corpus.watched import Reading

    # A small sample would have the whole source read, so what is looked at is its beginning.
    most = source.limit and math.ceil(source.limit / source.sample)
    whole = source.model_copy(update={"sample": 1.0, "limit": most})
    deadline = time.monotonic() + SAMPLE_SECONDS
    count, sampled, outcome = 0, 0, Outcome[Segment]()

    def first(documents: Iterator[Document | Rejection]) -> tuple[Outcome[Segment], int, int]:
        """In the process apart, which goes on counting what it was given with `sampled`."""
        nonlocal sampled
        before = sampled
        made = cut(islice(documents, SAMPLE_DOCUMENTS - sampled), options)
        sampled += sum(counts.entered for stage, counts in made.counts.items() if stage == "documents")
        return made, sampled - before, sum(1 for _ in documents)

    for done, (paths, span) in enumerate(pieces):
        for made, was_cut, more in read_apart(Reading(whole, paths, options, span=span), first):
            outcome.add(made)
            count, sampled = count + was_cut + more, sampled + was_cut
            if time.monotonic() > deadline:
                return count, sampled, done, outcome
    return count, sampled, len(pieces), outcome


def augmented(options: Augment, segments: Pairs, seed: Pairs) -> Pairs:
    """Return candidates: texts of the corpus, each with the instruction of a seed pair in place of its own."""
    asked = [instruction for instruction, _ in seed.sample] or [""]
    sample = tuple((asked[at % len(asked)], text) for at, (_, text) in enumerate(segments.sample))
    return Pairs(segments.count * options.per_segment, sample, origin="augmented")


def of_judge(folder: Path, options: Judge, seed: Pairs, refusals: Refusals) -> tuple[int, Pairs]:
    """Return how many seed pairs are taken to teach or to try a judge, and what is made of them.

    Args:
        folder: of the step that is to make them.
    """
    from askback.curate.damage import KINDS
    from askback.curate.teach import check_length

    short = tuple(pair for pair in seed.sample if len(pair[0]) + len(pair[1]) <= options.max_chars)
    share = len(short) / max(1, len(seed.sample))
    if folder.name == names.PROBES:
        fitting = sum(len(asked) + len(output) <= options.max_chars for asked, output in seed.tried)
        with refusals.noted():
            check_length(len(seed.tried), fitting, options.max_chars, folder)
        pairs = min(options.probes, fitting)
        return pairs, Pairs(pairs * (len(KINDS) + 2), short)
    if folder.name == names.RANKED:
        return 0, Pairs()  # how many there are is not known before they are read
    pairs = min(options.pairs, math.ceil(seed.count * share))
    return pairs, Pairs(pairs * (1 + options.per_pair), short, origin="judgement")


def entered(folder: Path) -> int:
    """Return how many records entered a finished step."""
    counts = step_record(folder)["counts"]
    return int(next(iter(counts.values()))["entered"])


def of_finished(folder: Path) -> tuple[int, Pairs]:
    """Return, of a finished step, how many records entered and what it kept."""
    records = Records[Segment | Candidate | Example](folder, "")
    rows = list(islice(records, 4 * SAMPLE_PAIRS))
    pairs = [("", one.text) if isinstance(one, Segment) else (one.instruction, one.output) for one in rows]
    return entered(folder), Pairs(len(records), spread(pairs), origin="augmented")
