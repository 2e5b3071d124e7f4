"""The corpus room: documents → segments → the segments worth asking about (method.md 1.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from askback import owned
from askback.corpus.apart import read_apart
from askback.corpus.cut import cut
from askback.corpus.dedup import Signatures, Signer, decide, parts_to_decide
from askback.corpus.filters.word_lists import words_of
from askback.corpus.forecast import forecast_of_segments, forecast_of_unique
from askback.corpus.natural import is_natural
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
from askback.inputs.remote import File, Remote, fingerprint, forget, host, is_same
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


@recorded(version=8, sources=sources, forecast=forecast_of_segments)
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


@recorded(version=8, forecast=forecast_of_unique)
def drop_duplicates(step: Step, options: Corpus, *, segments: Records[Segment]) -> Records[Segment]:
    """Drop exact and near duplicates over the whole corpus, keeping the first; set documents aside; then draw
    `options.limit` segments of the others, and of those set aside `options.held_out_limit` that are natural pairs, if
    there are as many, and as many that are none.

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
    aside = _set_aside(signatures, kept, options)
    highest = [_highest(signatures, kept, aside, side, limit) for side, limit in enumerate(_limits(options))]
    work = partial(_sift, options, aside, highest, signatures)
    unique = step.map(work, pieces, Segment, "segments")
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
    signer, groups = Signer(options.duplicate_jaccard), []
    for number, (_, segment, gone) in enumerate(_stripped(options, signatures, piece), 1):
        text = None if _too_little(segment, gone, options) else segment.text
        signer.add(segment.id, draw(random_seed, segment.id), text)
        groups.append(_groups(segment, random_seed))
        if number % 256 == 0:
            worker.report(256)
    write_array(signatures.path("groups", piece.number), np.array(groups, np.uint64).reshape(-1, 3))
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


def _groups(segment: Segment, random_seed: int) -> tuple[int, int, int]:
    """Return draws for the document that a segment is from, and for its site, and whether it is a natural pair (1, 0); a
    document without a site is its own."""
    document = draw(random_seed, "held-out", segment.provenance.uri)
    site = host(segment.provenance.uri)
    return document, draw(random_seed, "held-out", site) if site else document, is_natural(segment)


SITES = 20
"""Sites in a corpus from which on whole sites are set aside: another page of a site is not quite unseen."""


class Aside(NamedTuple):
    """What is set aside: the groups (column 0 documents, 1 sites) whose draw is below a bound."""

    column: int
    below: int

    def of(self, groups: Array) -> Array:
        """Return which segments are."""
        found: Array = groups[:, self.column] < np.uint64(self.below)
        return found

    def sides(self, groups: Array) -> Array:
        """Return the side of each segment, as in `_limits`: 0 not set aside, 1 set aside, 2 that as a natural pair."""
        found: Array = self.of(groups) * (np.uint64(1) + groups[:, NATURAL])
        return found


NATURAL = 2
"""The column of groups that tells natural pairs."""


def _limits(options: Corpus) -> tuple[int | None, int, int]:
    """Return the largest number of segments to keep of each side."""
    return options.limit, options.held_out_limit, options.held_out_limit


def _set_aside(signatures: Signatures, kept: Array, options: Corpus) -> Aside:
    """Return what is set aside; nothing where it would be all there is."""
    sites = set[int]()
    for groups in _kept_groups(signatures, kept):
        sites.update(np.unique(groups[:, 1]).tolist()[:SITES])
    aside = Aside(int(len(sites) >= SITES), int(options.held_out * DRAWS))
    everything = all(aside.of(groups).all() for groups in _kept_groups(signatures, kept))
    return aside._replace(below=0) if everything else aside


def _kept_groups(signatures: Signatures, kept: Array) -> Iterator[Array]:
    pieces = zip(signatures.paths("groups"), signatures.firsts, signatures.firsts[1:], strict=False)
    return (np.load(path, mmap_mode="r")[kept[first:stop]] for path, first, stop in pieces)


def _highest(signatures: Signatures, kept: Array, aside: Aside, side: int, limit: int | None) -> int:
    """Return the highest draw that a segment of one side may have, so that at most `limit` of those kept do."""
    if limit is None:
        return DRAWS
    pieces = zip(signatures.firsts, signatures.firsts[1:], _kept_groups(signatures, kept), strict=False)
    found = []
    for number, (first, stop, groups) in enumerate(pieces):
        drawn = np.load(signatures.path("rows", number), mmap_mode="r")["draw"][kept[first:stop]]
        found.append(drawn[aside.sides(groups) == side])
    draws = np.concatenate(found)
    if len(draws) <= limit:
        return DRAWS
    draws.partition(limit - 1)
    return int(draws[limit - 1])


def _sift(
    options: Corpus,
    aside: Aside,
    highest: Sequence[int],
    signatures: Signatures,
    worker: WorkerContext,
    piece: Piece[Segment],
) -> Outcome[Segment]:
    """In a worker: sort the segments of a piece into those kept and those dropped."""
    outcome = Outcome[Segment]()
    draws = np.load(signatures.path("rows", piece.number))["draw"].tolist()
    verdicts = np.load(signatures.path("verdicts", piece.number))
    earlier = verdicts["earlier"][verdicts["earlier"] >= 0]
    earlier = iter(signatures.rows("rows", earlier)["id"].tolist() if len(earlier) else [])
    stripped = _stripped(options, signatures, piece)
    sides = aside.sides(np.load(signatures.path("groups", piece.number))).tolist()
    limits = _limits(options)
    found = zip(stripped, draws, sides, verdicts.tolist(), strict=True)
    for (whole, segment, gone), drawn, side, (number, similarity) in found:
        if gone:
            outcome.tally("boilerplate paragraphs", gone)
        if detail := _too_little(segment, gone, options):
            outcome.drop(reject(whole.id, STAGE, "boilerplate", detail, uri=whole.provenance.uri, text=whole.text))
        elif number >= 0:
            rule = "duplicate" if similarity == 1 else "near-duplicate"
            detail = f"similarity {similarity:.2f} to {next(earlier).decode()}, limit {options.duplicate_jaccard}"
            outcome.drop(reject(segment.id, STAGE, rule, detail, uri=segment.provenance.uri, text=segment.text))
        elif drawn > highest[side]:
            detail = f"draw {drawn / DRAWS:.6f}, at most {highest[side] / DRAWS:.6f} for {limits[side]} segments"
            outcome.drop(reject(segment.id, STAGE, "over-limit", detail, uri=segment.provenance.uri, text=segment.text))
        else:
            outcome.keep(STAGE, replace(segment, split="held-out") if side else segment)
            outcome.tally("held-out segments", side > 0)
    worker.report(len(piece))
    return outcome
