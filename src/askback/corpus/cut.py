"""Documents → segments: which sections are offered, and which of them are kept (method.md 1.4)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from askback.config import Corpus
from askback.corpus import filters
from askback.corpus.page import TooDeep
from askback.corpus.segment import Section, segment
from askback.records import Document, Outcome, Rejection, Segment, fail, record_id, reject

_PLACE_TAKERS = {"too-long", "empty-header", "capital-header", "repeated-sentences", "language", "no-prose"}
"""When a section is rejected by one of these, the sections below it are offered in its place. Those below a section that
is too short are shorter still, and those below navigation words are navigation too."""


def cut(documents: Iterable[Document | Rejection], options: Corpus) -> Outcome:
    """Cut documents into segments and keep those that pass the rules.

    Counted in two stages: "documents" (a document passes if it offers a section) and "segments" (each section offered).

    The paper's segments nest and it does not say how it keeps them from overlapping. Here sections are offered from the
    top of the document down: one that is kept takes the text below its header as a whole; one that is rejected gives its
    place to its own lead, if it is too long, and to the sections below it. So no sentence is in two segments.
    """
    outcome = Outcome()
    for document in documents:
        if isinstance(document, Rejection):
            outcome.drop(document)
            continue
        sections = _sections(document)
        if isinstance(sections, Rejection):
            outcome.drop(sections)
            continue
        outcome.passed("documents")
        for section in sections:
            for found in _offer(section, document, options):
                if isinstance(found, Rejection):
                    outcome.drop(found)
                else:
                    outcome.keep("segments", found)
    return outcome


def _sections(document: Document) -> list[Section] | Rejection:
    try:
        if sections := segment(document):
            return sections
        say, rule, detail = reject, "no-sections", ""
    except TooDeep as error:
        say, rule, detail = reject, "too-deep", str(error)
    except Exception as error:  # noqa: BLE001  docutils and markdown-it have bugs; one document must not end the run
        say, rule, detail = fail, "unreadable-markup", f"{type(error).__name__}: {error}"[:300]
    excerpt = document.text[: Rejection.EXCERPT].encode("utf-8", "replace").decode()
    identity = record_id(document.uri, document.text)
    return say(identity, "documents", rule, detail, uri=document.uri, text=excerpt)


def _offer(section: Section, document: Document, options: Corpus) -> Iterator[Segment | Rejection]:
    """Offer a section, then what takes its place if it is rejected."""
    result = _judge(section, section.text(), document, options)
    yield result
    if isinstance(result, Segment) or result.rule not in _PLACE_TAKERS:
        return
    if result.rule == "too-long" and section.lead and section.children:
        yield _judge(section, section.lead_text(), document, options)
    for child in section.children:
        yield from _offer(child, document, options)


def _judge(section: Section, text: str, document: Document, options: Corpus) -> Segment | Rejection:
    identity = record_id(document.uri, "\n".join(section.path), text)
    broken = (_header_rule(section.header) if section.path else None) or _text_rule(text, options)
    code = filters.language(text) if options.languages and not broken else ""
    if code and (detail := filters.other_language(code, options)):
        broken = "language", detail
    if broken:
        return reject(identity, "segments", *broken, uri=document.uri, text=text)
    return Segment(identity, text, section.path, document.uri, document.source, document.licence, code)


@lru_cache(maxsize=4096)
def _header_rule(header: str) -> tuple[str, str] | None:
    if detail := filters.navigation_header(header):
        return "navigation-header", detail
    if detail := filters.empty_header(header):
        return "empty-header", detail
    if detail := filters.capital_header(header):
        return "capital-header", detail
    return None


def _text_rule(text: str, options: Corpus) -> tuple[str, str] | None:
    if detail := filters.too_short(text, options):
        return "too-short", detail
    if detail := filters.too_long(text, options):
        return "too-long", detail
    if detail := filters.no_prose(text):
        return "no-prose", detail
    if detail := filters.repeated_sentences(text, options):
        return "repeated-sentences", detail
    return None
