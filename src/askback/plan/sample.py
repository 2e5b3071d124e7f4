"""What a step will find: how many records, and a few of them, as far as that can be told before the step is made."""

import json
import math
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from askback.config import Corpus, Judge, Seed
from askback.execution.shards import Records
from askback.records import Document, Rejection, Segment

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

    @property
    def chars(self) -> float:
        """Characters of a record, on average."""
        return sum(len(instruction) + len(output) for instruction, output in self.sample) / max(1, len(self.sample))


def spread(pairs: list[Pair]) -> tuple[Pair, ...]:
    """Return `SAMPLE_PAIRS` of these at most, from all over."""
    return tuple(pairs[:: -(-len(pairs) // SAMPLE_PAIRS) or 1])


def of_seed(options: Seed) -> Pairs:
    """Return the seed pairs, of which all are read."""
    from askback.seed.load import gather

    kept = gather(options).kept
    held_out = sum(example.split == "held-out" for example in kept)
    return Pairs(len(kept) - held_out, spread([(one.instruction, one.output) for one in kept]), held_out)


def of_corpus(options: Corpus) -> tuple[dict[str, int], Pairs]:
    """Count documents and estimate segments from the first documents of each source, for a few seconds."""
    from askback.corpus import cut
    from askback.corpus.readers import documents as read
    from askback.corpus.readers import pieces as pieces_of

    documents: dict[str, int] = {}
    segments, found_pairs = 0.0, list[Pair]()
    for source in options.sources:
        pieces = pieces_of(source)
        # A small sample would have the whole source read, so what is looked at is its beginning.
        most = source.limit and math.ceil(source.limit / source.sample)
        whole = source.model_copy(update={"sample": 1.0, "limit": most})
        deadline = time.monotonic() + SAMPLE_SECONDS
        count, sample, done = 0, list[Document | Rejection](), 0
        for paths, span in pieces:
            for found in read(whole, paths, options, span=span):
                count += 1
                if len(sample) < SAMPLE_DOCUMENTS:
                    sample.append(found)
                if count % 64 == 0 and time.monotonic() > deadline:
                    break
            else:
                done += 1
                continue
            break
        # What was not reached is taken to be like what was.
        count = round(count * len(pieces) / max(done, 1)) if done < len(pieces) else count
        count = round(count * source.sample)
        kept = cut(iter(sample), options).kept
        documents[f"{source.format} {source.path}".strip()] = count
        segments += len(kept) / max(1, len(sample)) * count
        found_pairs += [("", segment.text) for segment in kept]
    return documents, Pairs(round(segments), spread(found_pairs))


def of_judge(step: str, options: Judge, seed: Pairs) -> tuple[int, Pairs]:
    """Return how many seed pairs are taken to teach or to try a judge, and what is made of them."""
    from askback.curate.damage import KINDS

    short = tuple(pair for pair in seed.sample if len(pair[0]) + len(pair[1]) <= options.max_chars)
    share = len(short) / max(1, len(seed.sample))
    if step == "probes":
        pairs = min(options.probes, math.ceil(seed.held_out * share))
        return pairs, Pairs(pairs * (len(KINDS) + 2), short)
    if step == "ranked":
        return 0, Pairs()  # how many there are is not known before they are read
    pairs = min(options.pairs, math.ceil(seed.count * share))
    return pairs, Pairs(pairs * (1 + options.per_pair), short, origin="judgement")


def entered(folder: Path) -> int:
    """Return how many records entered a finished step."""
    counts = json.loads((folder / "step.json").read_text("utf-8"))["counts"]
    return int(next(iter(counts.values()))["entered"])


def of_finished(folder: Path) -> tuple[int, Pairs]:
    """Return, of a finished step, how many records entered and what it kept."""
    records = Records(folder, "")
    rows = list(islice(records, 4 * SAMPLE_PAIRS))
    pairs = [("", one.text) if isinstance(one, Segment) else (one.instruction, one.output) for one in rows]
    return entered(folder), Pairs(len(records), spread(pairs), origin="augmented")
