"""The corpus room: documents → segments → the segments worth asking about (method.md 1.4)."""

import heapq
import platform
from collections.abc import Iterator
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from askback.config import Corpus, CorpusSource
from askback.corpus import cut
from askback.corpus.boilerplate import Boilerplate
from askback.corpus.dedup import Seen
from askback.corpus.readers import documents, pieces, splits
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.processes import report
from askback.execution.shards import Records, read_records
from askback.execution.step import Step
from askback.records import Document, Outcome, Rejection, Segment, draw, record_id, reject

if TYPE_CHECKING:
    from askback.corpus.readers.warc import Span

STAGE = "unique segments"


def sources(options: Corpus) -> dict[str, str]:
    """Return a fingerprint of all that is read: documents (a hub dataset is known by its name), evaluation prompts."""
    documents = {f"{source.format}:{source.path}": _fingerprint(source) for source in options.sources}
    return documents | {f"decontaminate:{path}": file_fingerprint(Path(path)) for path in options.decontaminate}


def _fingerprint(source: CorpusSource) -> str:
    if source.format == "hub":
        return "hub"
    if source.format == "installed-docs":
        names = sorted(f"{found.name}=={found.version}" for found in distributions() if found.name)
        return f"{len(set(names))} distributions {record_id(platform.python_version(), *names)}"
    return str(file_fingerprint(*(path for piece in splits(source) for path in piece)))


@recorded(version=2, sources=sources)
def cut_documents(step: Step, options: Corpus) -> Records:
    """Read every source and cut its documents into segments; files and parts of files are shared out over the workers."""
    work = [(source, *piece) for source in options.sources for piece in pieces(source)]
    return step.pieces(partial(cut_piece, options), work, Segment, "documents")


def cut_piece(options: Corpus, source: CorpusSource, paths: list[Path], span: "Span | None" = None) -> Outcome:
    """In a worker: read and cut the documents of some files, or of a part of one."""

    def counted() -> Iterator[Document | Rejection]:
        for number, document in enumerate(documents(source, paths, options, span), 1):
            if number % 100 == 0:
                report(100, 0)
            yield document

    return cut(counted(), options)


@recorded(version=1)
def drop_duplicates(step: Step, options: Corpus, *, segments: Records) -> Records:
    """Drop exact and near duplicates over the whole corpus, keeping the first; then draw `options.limit` of the rest.

    Before that, paragraphs that are on `options.boilerplate_pages` pages of a host are taken out of its segments.
    """
    first = Seen(options.duplicate_jaccard)
    pages = options.boilerplate_pages
    boilerplate = Boilerplate(segments if pages else [], pages or 0)
    stripped = 0
    duplicates: dict[str, tuple[str, float]] = {}
    unique: list[str] = []
    with step.progress.bar(step.name, len(segments), unit="segments") as bar:
        for segment in segments:
            bar.add(1)
            segment, gone = boilerplate.strip(segment)
            stripped += gone
            if gone and len(segment.text) < options.min_chars:
                continue
            found = first.duplicate_of(segment.id, segment.text)
            if found:
                duplicates[segment.id] = found
            else:
                unique.append(segment.id)
    if pages:
        step.metrics = {"boilerplate paragraphs": stripped}
    chosen = set(unique)
    if options.limit is not None:
        chosen = set(heapq.nsmallest(options.limit, unique, key=lambda id: draw(step.random_seed, id)))
    over = set(unique) - chosen
    sift = partial(_sift, options, boilerplate, chosen, over, duplicates)
    return step.write(Segment, map(sift, segments.parts()))


def _sift(
    options: Corpus,
    boilerplate: Boilerplate,
    chosen: set[str],
    over: set[str],
    duplicates: dict[str, tuple[str, float]],
    part: Path,
) -> Outcome:
    """Sort the segments of a file. A page that was crawled twice gives an id twice; the first time counts."""
    outcome = Outcome()
    for whole in read_records(part):
        segment, gone = boilerplate.strip(whole)
        if gone and len(segment.text) < options.min_chars:
            outcome.drop(_too_little(whole, segment, gone, options))
        elif segment.id in chosen:
            chosen.discard(segment.id)
            outcome.keep(STAGE, segment)
        elif segment.id in over:
            over.discard(segment.id)
            outcome.drop(reject(segment.id, STAGE, "over-limit", uri=segment.uri, text=segment.text))
        else:
            outcome.drop(_duplicate(segment, *duplicates[segment.id]))
    return outcome


def _duplicate(segment: Segment, earlier: str, similarity: float) -> Rejection:
    rule = "duplicate" if similarity == 1 else "near-duplicate"
    return reject(segment.id, STAGE, rule, f"{similarity:.2f} like {earlier}", uri=segment.uri, text=segment.text)


def _too_little(whole: Segment, left: Segment, gone: int, options: Corpus) -> Rejection:
    detail = f"{len(left.text)} characters without {gone} paragraph(s) that are on {options.boilerplate_pages} "
    detail += f"or more pages of the site, at least {options.min_chars} wanted"
    return reject(whole.id, STAGE, "boilerplate", detail, uri=whole.uri, text=whole.text)
