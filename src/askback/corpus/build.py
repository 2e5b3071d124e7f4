"""The corpus room: documents → segments → the segments worth asking about (method.md 1.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from askback import owned
from askback.corpus.apart import read_apart
from askback.corpus.cut import cut
from askback.corpus.dedup import Signatures, Signer, decide, parts_to_decide
from askback.corpus.filters.word_lists import words_of
from askback.corpus.forecast import forecast_of_segments, forecast_of_unique
from askback.corpus.presidio import installed
from askback.corpus.readers import pieces, reader, splits
from askback.corpus.repeated_paragraphs import Boilerplate, paragraphs_on_pages, repeated
from askback.corpus.sorted_files import Array, write_array
from askback.corpus.watched import Reading
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.execution.identity import check_sources, file_fingerprint, recorded
from askback.execution.outcome import Counts, Outcome
from askback.execution.shards import Piece, Records
from askback.execution.step import Step
from askback.inputs.local_files import Stamp, stamp
from askback.inputs.remote import File, Remote, fingerprint, forget, is_same
from askback.recipe import Corpus, CorpusSource
from askback.records import DRAWS, Segment, draw, reject

if TYPE_CHECKING:
    from askback.corpus.readers.warc import Span

STAGE = "unique segments"


def sources(options: Corpus) -> dict[str, str]:
    """Return a fingerprint of all that is read: documents (a hub dataset is known by its name), evaluation prompts, word
    lists, and what presidio is made of.

    Raises:
        InputError: something is not there, or a word list is empty or not UTF-8.
        MissingExtra: presidio is asked for and not installed.
    """
    forget()
    found = {f"{source.format}:{source.path}": _fingerprint(source) for source in options.sources}
    found |= {f"decontaminate:{path}": file_fingerprint(Path(path)) for path in options.decontaminate}
    for wanted in options.word_lists:
        words_of(wanted.path)
        found[f"word-list:{wanted.path}"] = file_fingerprint(Path(wanted.path))
    if options.pii != "keep" and options.pii_engine == "presidio":
        found["pii:presidio"] = installed(options.languages)
    return found


def _fingerprint(source: CorpusSource) -> str:
    if own := reader(source.format).fingerprint:
        return own(source)
    files = [file for piece in splits(source) for file in piece]
    remote = [file for file in files if isinstance(file, Remote)]
    return fingerprint(remote) if remote else str(file_fingerprint(*(file for file in files if isinstance(file, Path))))


@recorded(version=6, sources=sources, forecast=forecast_of_segments)
def cut_documents(step: Step, options: Corpus) -> Records[Segment]:
    """Read every source and cut its documents into segments; files and parts of files are shared out over the workers."""
    found = [(source, *piece) for source in options.sources for piece in pieces(source)]
    parts = [
        Part(number, [stamp(path) for path in paths if isinstance(path, Path)], source, paths, span)
        for number, (source, paths, span) in enumerate(found)
    ]
    check_sources(step.folder, sources(options))  # what changed before these stamps
    return step.map(partial(cut_piece, options, step.random_seed, step.folder), parts, Segment, "documents")


@dataclass(frozen=True)
class Part:
    """Documents that are read together: those of some files, or of a span of one."""

    number: int
    stamps: list[Stamp]
    """Of its local files; what has another one afterwards was changed while it was read."""
    source: CorpusSource
    paths: list[File]
    span: "Span | None" = None


def cut_piece(options: Corpus, random_seed: int, folder: Path, worker: WorkerContext, part: Part) -> Outcome[Segment]:
    """In a worker: read and cut the documents of a part."""
    outcome = Outcome[Segment]()
    reading = Reading(part.source, part.paths, options, random_seed, part.span)
    verdicts = folder / f"over-{part.number:05d}.jsonl"
    for lot in read_apart(reading, partial(cut, options=options), verdicts, worker.idle):
        outcome.add(lot)
        worker.report(lot.counts.get("documents", Counts()).entered)
    _check_unchanged(part.paths, part.stamps)
    return outcome


def _check_unchanged(paths: list[File], stamps: list[Stamp]) -> None:
    before = iter(stamps)
    for path in paths:
        try:
            same = stamp(path) == next(before) if isinstance(path, Path) else is_same(path)
        except OSError:
            same = False
        if not same:
            raise InputError(
                f"{path}: changed while it was read. Nothing of it is kept; run the same command again when it is whole"
            )


@recorded(version=5, forecast=forecast_of_unique)
def drop_duplicates(step: Step, options: Corpus, *, segments: Records[Segment]) -> Records[Segment]:
    """Drop exact and near duplicates over the whole corpus, keeping the first; then draw `options.limit` of the rest.

    Before that, paragraphs that are on `options.boilerplate_pages` pages of a host are taken out of its segments. What
    is compared is on disk while the step runs (`scratch`); a step that was stopped goes on with it.
    """
    total = len(segments)
    pieces = segments.cut_by_file(max(PIECE, -(-total // PIECES)))
    signatures = Signatures(scratch(step), [0, *accumulate(map(len, pieces))])
    if options.boilerplate_pages:
        counted = step.alone(partial(_count_paragraphs, signatures), pieces, "segments", total)
        found = repeated(signatures.paths("paragraphs"), sum(counted), options.boilerplate_pages)
        write_array(signatures.folder / BOILERPLATE, found)
    todo = [piece for piece in pieces if not signatures.path("keys", piece.number).exists()]
    step.alone(partial(_sign, options, step.random_seed, signatures), todo, "segments", sum(map(len, todo)))
    parts = parts_to_decide(signatures, options.duplicate_jaccard)
    with step.progress.bar(step.name, parts, 0, "parts of the comparison") as bar:
        kept = decide(signatures, options.duplicate_jaccard, bar.add)
    highest = _limit(signatures, kept, options.limit)
    unique = step.map(partial(_sift, options, highest, signatures), pieces, Segment, "segments")
    owned.remove(signatures.folder)
    return unique


PIECE, PIECES = 2048, 8192
"""Segments in a piece of work; more, so that there are about as many pieces at most."""
BOILERPLATE = "boilerplate.npy"


def scratch(step: Step) -> Path:
    """Return the folder for what is needed while a step runs, without what another recipe left there."""
    folder = owned.scratch(step.folder / f"scratch-{step.output.fingerprint}")
    for left in step.folder.glob("scratch-*.tmp"):
        if left != folder:
            owned.remove(left)
    return folder


def _count_paragraphs(signatures: Signatures, worker: WorkerContext, piece: Piece[Segment]) -> int:
    """In a worker: write on which pages the paragraphs of a piece are."""
    found = paragraphs_on_pages(piece)
    write_array(signatures.path("paragraphs", piece.number), found[np.newaxis])
    worker.report(len(piece))
    return int(found.shape[1])


def _sign(
    options: Corpus, random_seed: int, signatures: Signatures, worker: WorkerContext, piece: Piece[Segment]
) -> None:
    """In a worker: write what the segments of a piece are compared by."""
    signer = Signer(options.duplicate_jaccard)
    for number, (_, segment, gone) in enumerate(_stripped(options, signatures, piece), 1):
        text = None if _too_little(segment, gone, options) else segment.text
        signer.add(segment.id, draw(random_seed, segment.id), text)
        if number % 256 == 0:
            worker.report(256)
    signer.write(signatures, piece.number)
    worker.report(len(piece) % 256)


def _stripped(options: Corpus, signatures: Signatures, piece: Piece[Segment]) -> Iterator[tuple[Segment, Segment, int]]:
    """Yield segments, each as it was and without boilerplate, and how many paragraphs of that went."""
    pages = options.boilerplate_pages
    found = np.load(signatures.folder / BOILERPLATE, mmap_mode="r") if pages else np.empty(0, np.uint64)
    boilerplate = Boilerplate(found)
    for whole in piece:
        yield whole, *boilerplate.strip(whole)


def _too_little(segment: Segment, gone: int, options: Corpus) -> str | None:
    """Rule "boilerplate" (ours): without it, fewer than `min_chars` characters are left. On with `boilerplate_pages`."""
    if not gone or len(segment.text) >= options.min_chars:
        return None
    detail = f"{len(segment.text)} characters without {gone} paragraph(s) that are on {options.boilerplate_pages} "
    return f"{detail}or more pages of the site, at least {options.min_chars} wanted"


def _limit(signatures: Signatures, kept: Array, limit: int | None) -> int:
    """Return the highest draw that a segment may have, so that `limit` of those kept do."""
    if limit is None or int(kept.sum()) <= limit:
        return DRAWS
    pieces = zip(signatures.paths("rows"), signatures.firsts, signatures.firsts[1:], strict=False)
    draws = np.concatenate([np.load(path, mmap_mode="r")["draw"][kept[first:stop]] for path, first, stop in pieces])
    draws.partition(limit - 1)
    return int(draws[limit - 1])


def _sift(
    options: Corpus, highest: int, signatures: Signatures, worker: WorkerContext, piece: Piece[Segment]
) -> Outcome[Segment]:
    """In a worker: sort the segments of a piece into those kept and those dropped."""
    outcome = Outcome[Segment]()
    draws = np.load(signatures.path("rows", piece.number))["draw"].tolist()
    verdicts = np.load(signatures.path("verdicts", piece.number))
    earlier = verdicts["earlier"][verdicts["earlier"] >= 0]
    earlier = iter(signatures.rows("rows", earlier)["id"].tolist() if len(earlier) else [])
    stripped = _stripped(options, signatures, piece)
    for (whole, segment, gone), drawn, (number, similarity) in zip(stripped, draws, verdicts.tolist(), strict=True):
        if gone:
            outcome.tally("boilerplate paragraphs", gone)
        if detail := _too_little(segment, gone, options):
            outcome.drop(reject(whole.id, STAGE, "boilerplate", detail, uri=whole.provenance.uri, text=whole.text))
        elif number >= 0:
            rule = "duplicate" if similarity == 1 else "near-duplicate"
            detail = f"similarity {similarity:.2f} to {next(earlier).decode()}, limit {options.duplicate_jaccard}"
            outcome.drop(reject(segment.id, STAGE, rule, detail, uri=segment.provenance.uri, text=segment.text))
        elif drawn > highest:
            detail = f"draw {drawn / DRAWS:.6f}, at most {highest / DRAWS:.6f} for {options.limit} segments"
            outcome.drop(reject(segment.id, STAGE, "over-limit", detail, uri=segment.provenance.uri, text=segment.text))
        else:
            outcome.keep(STAGE, segment)
    worker.report(len(piece))
    return outcome
