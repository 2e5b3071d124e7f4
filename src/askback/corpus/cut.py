"""Documents → segments: which sections are offered, and which of them are kept (method.md 1.4)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from askback.corpus import filters
from askback.corpus.bounds import TooMuch, check_memory
from askback.corpus.filters import leans_on
from askback.corpus.page import TooDeep, TooMany
from askback.corpus.parts import parts, without_copies
from askback.corpus.pii import personal_data, redactor
from askback.corpus.segment import Section, segment
from askback.errors import reason_of
from askback.execution.outcome import Outcome
from askback.inputs.contamination import evaluation_prompts
from askback.recipe import Corpus
from askback.records import Document, Provenance, Rejection, Segment, fail, record_id, reject
from askback.text.invisible import without_invisible

NO_PLACE = {"too-short", "navigation-header"}
"""When a section is rejected, the sections below it are offered in its place, except by one of these: those below a
section that is too short are shorter still, and those below navigation words are navigation too."""


class Offer(NamedTuple):
    """A section that was offered and what came of it: as a whole, only (`lead`) the text before the header below, or a
    part of either, from 1. It has `characters`; `left` characters of further parts are not offered."""

    section: Section
    lead: bool
    result: Segment | Rejection
    redacted: Counter[str]
    characters: int
    part: int = 0
    left: int = 0


def cut(documents: Iterable[Document | Rejection], options: Corpus) -> Outcome[Segment]:
    """Cut documents into segments and keep those that pass the rules.

    Counted in two stages: "documents" (a document passes if it offers a section) and "segments" (each section offered).
    Tallied is what was redacted in the segments kept, and how many characters of the pages were left out as no part of
    their text, by rule.
    """
    outcome = Outcome[Segment]()
    for document in documents:
        left_out: Counter[str] = Counter()
        sections = document if isinstance(document, Rejection) else sections_of(document, options, left_out)
        for rule, characters in left_out.items():
            outcome.tally(f"characters left out: {rule}", characters)
        if isinstance(sections, Rejection):
            outcome.drop(sections)
            continue
        assert isinstance(document, Document)
        outcome.passed("documents")
        for offer in offers(sections, document, options):
            if isinstance(offer.result, Rejection):
                outcome.drop(offer.result)
                continue
            outcome.keep("segments", offer.result)
            for kind, count in offer.redacted.items():
                outcome.tally(f"redacted {kind.lower()}", count)
            if offer.left:
                outcome.tally("characters of further parts, not offered", offer.left)
            if leans_on(offer.result.text):
                outcome.tally("segments that lean on what is not in them", 1)
    return outcome


def sections_of(document: Document, options: Corpus, left_out: Counter[str] | None = None) -> list[Section] | Rejection:
    """Return the top sections of a document, or why it has none to offer; `left_out` as in `segment`."""
    try:
        if detail := filters.other_licence(document.licence, options):
            say, rule = reject, "licence"
        elif sections := segment(document, left_out):
            return sections
        else:
            say, rule, detail = reject, "no-sections", "0 headers with text below, at least 1 wanted"
    except TooDeep as error:
        say, rule, detail = reject, "too-deep", str(error)
    except TooMany as error:
        say, rule, detail = reject, "too-many-tags", str(error)
    except TooMuch as error:
        say, rule, detail = reject, "too-much-markup", str(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  docutils and markdown-it have bugs; one document must not end the run
        check_memory()
        say, rule, detail = fail, "unreadable-markup", f"{type(error).__name__}: {reason_of(error)}"
    excerpt = document.text[: Rejection.EXCERPT].encode("utf-8", "replace").decode()
    identity = record_id(document.uri, document.text)
    return say(identity, "documents", rule, detail, uri=document.uri, text=excerpt)


def offers(sections: Iterable[Section], document: Document, options: Corpus) -> Iterator[Offer]:
    """Offer sections, and what takes the place of those that are rejected.

    The paper's segments nest and it does not say how it keeps them from overlapping. Here sections are offered from the
    top of the document down: one that is kept takes the text below its header as a whole; one that is rejected gives its
    place to its own lead, if it is too long, and to the sections below it. So no sentence is in two segments. With
    `long_sections`, a lead that is too long is cut, and so is a section of which nothing was kept so.
    """
    for section in sections:
        offer = _judge(section, section.text(), document, options)
        yield offer
        if isinstance(offer.result, Segment) or offer.result.rule in NO_PLACE:
            continue
        too_long = offer.result.rule == "too-long"
        kept = False
        for below in _in_its_place(section, too_long, document, options):
            kept |= isinstance(below.result, Segment)
            yield below
        if too_long and not kept and options.long_sections != "drop":
            yield from _parts(section, False, document, options)


def _in_its_place(section: Section, too_long: bool, document: Document, options: Corpus) -> Iterator[Offer]:
    if too_long and section.lead and section.children:
        lead = _judge(section, section.lead_text(), document, options, lead=True)
        yield lead
        if isinstance(lead.result, Rejection) and lead.result.rule == "too-long" and options.long_sections != "drop":
            yield from _parts(section, True, document, options)
    yield from offers(section.children, document, options)


def _parts(section: Section, lead: bool, document: Document, options: Corpus) -> Iterator[Offer]:
    found = parts(section.lead_text() if lead else section.text(), options.max_chars)
    offered = found[:1] if options.long_sections == "first" else found
    for number, text in enumerate(offered, 1):
        left = sum(map(len, found[1:])) if len(offered) < len(found) else 0
        yield _judge(section, text, document, options, lead, number)._replace(left=left)


def _judge(
    section: Section, text: str, document: Document, options: Corpus, lead: bool = False, part: int = 0
) -> Offer:
    path, characters = section.path, len(text)
    redacted: Counter[str] = Counter()
    title, author = without_invisible(document.title)[0], document.author
    if options.drop_copies:
        text = without_copies(text)
    if options.pii == "redact":
        redact = redactor(text, options)
        text, redacted = redact(text)
        title, author = redact(title)[0], redact(author)[0]
        path = [redact(header)[0] for header in path]
    identity = record_id(document.uri, "\n".join(path), text)
    broken = filters.header_rule(section.header, options.header_rules) if path else None
    if not broken:
        broken = filters.text_rule(text, lambda: _linked(section, lead, characters), options)
    code = filters.language(text) if options.languages and not broken else ""
    if code and (detail := filters.other_language(code, options)):
        broken = "language", detail
    if broken := broken or _unwanted(section, document, text, options):
        result: Segment | Rejection = reject(identity, "segments", *broken, uri=document.uri, text=text)
    else:
        about = Provenance(document.uri, document.source, document.licence, code, title, author, document.date)
        result = Segment(identity, text, path, about, part, lead=lead)
    return Offer(section, lead, result, redacted, characters, part)


def _linked(section: Section, lead: bool, characters: int) -> int:
    """Return how many of the characters offered stood in links: of a part, its share of those of the whole."""
    linked, whole = (section.lead_linked(), section.lead_text()) if lead else (section.linked(), section.text())
    return round(linked * characters / max(len(whole), 1))


def _unwanted(section: Section, document: Document, text: str, options: Corpus) -> tuple[str, str] | None:
    """Rules "word-list" (with `word_lists`), "personal-data" (with ``pii: drop``), for all that a segment carries, and
    "contaminated" (with `decontaminate`), for header and text."""
    carried = "\n".join([document.title, document.author, *section.path, text])
    if detail := filters.word_list(f"{section.header}\n{text}", options):
        return "word-list", detail
    if options.pii == "drop" and (detail := personal_data(carried, redactor(text, options))):
        return "personal-data", detail
    if options.decontaminate:
        prompts = evaluation_prompts(tuple(options.decontaminate))
        if detail := prompts.found_in(text) or prompts.found_in(section.header):
            return "contaminated", detail
    return None
