"""What the rules make of one file, section by section. Nothing is written."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from askback.corpus.apart import read_apart
from askback.corpus.cut import NO_PLACE, Offer, offers, sections_of
from askback.corpus.filters import navigation_header
from askback.corpus.natural import fault, request
from askback.corpus.readers import reader
from askback.corpus.segment import Section, blocks_of, with_text
from askback.corpus.watched import Reading
from askback.errors import InputError
from askback.recipe import Corpus, CorpusSource
from askback.recipe.names import DOCUMENTS
from askback.records import Document, Rejection, Segment


@dataclass(frozen=True)
class Explained:
    """One header of a document (or, with `lead`, the text under it before the next one; or a `part` of either, from 1,
    that was cut as it is too long), and what became of it.

    `verdict` is "kept"; "dropped", with the rule and what it found; "in the above", for a part of a section that is kept;
    "left out", for navigation within one; or "not offered", when the section around it was dropped for good. Of a header
    that asks, `rule` also says whether it and what is kept make a natural pair (corpus/natural.py).
    """

    header: str
    level: int
    lead: bool
    characters: int
    verdict: str
    rule: str = ""
    detail: str = ""
    part: int = 0


@dataclass(frozen=True)
class Explanation:
    """A file, its sections in order, and the text that is in no section."""

    path: str
    markup: str
    licence: str
    rows: list[Explained] = field(default_factory=list)
    rule: str = ""
    """Of the rule that dropped the whole document; with it, `detail`."""
    detail: str = ""
    before_headers: int = 0
    """Characters above the first header, which are under none."""
    bare_headers: list[str] = field(default_factory=list)
    """Headers without text, which are left out."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Characters of the page that are no part of its text, by rule: navigation, what is hidden, and the like."""


def explain(path: Path, options: Corpus) -> Explanation:
    """Read one HTML, Markdown, plain text, reStructuredText or PDF file and tell what the rules of a recipe make of it.

    The file's licence is what it states, else that of the first source of its format. Duplicates are not looked for:
    that takes the whole corpus.

    Raises:
        InputError: there is no such file, or it is of another kind.
    """
    (found,) = read_apart(_reading(path, options), partial(_explained, path, options))
    return found


def _explained(path: Path, options: Corpus, documents: Iterator[Document | Rejection]) -> Explanation:
    (found,) = documents
    if isinstance(found, Rejection):
        return Explanation(str(path), "", "", rule=found.rule, detail=found.detail)
    left_out: Counter[str] = Counter()
    sections = sections_of(found, options, left_out)
    gone = dict(left_out.most_common())
    if isinstance(sections, Rejection):
        document = (str(path), found.markup, found.licence)
        return Explanation(*document, rule=sections.rule, detail=sections.detail, left_out=gone)
    made: dict[tuple[int, bool], list[Offer]] = {}
    for offer in offers(sections, found, options):
        made.setdefault((id(offer.section), offer.lead), []).append(offer)
    rows = [row for section in sections for row in _rows(section, made, "")]
    blocks = blocks_of(found)
    first = next((at for at, block in enumerate(blocks) if block.level), 0)
    with_some = {id(block) for block in with_text(blocks)} if any(block.level for block in blocks) else set()
    return Explanation(
        str(path),
        found.markup,
        found.licence,
        rows,
        before_headers=sum(len(block.text) for block in blocks[:first]),
        bare_headers=[block.text for block in blocks if block.level and id(block) not in with_some],
        left_out=gone,
    )


def _reading(path: Path, options: Corpus) -> Reading:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. --explain takes one HTML, Markdown, text, rst or PDF file")
    single = {kind: reader(kind).suffixes for kind in DOCUMENTS if reader(kind).lot}
    kind = next((kind for kind, suffixes in single.items() if path.name.lower().endswith(suffixes)), None)
    if kind is None:
        allowed = ", ".join(suffix for suffixes in single.values() for suffix in suffixes)
        raise InputError(f"{path}: --explain reads one document, by its suffix: {allowed}; found '{path.suffix}'")
    licence = next((source.licence for source in options.sources if source.format == kind), "")
    source = CorpusSource.model_validate({"format": kind, "path": str(path), "licence": licence})
    return Reading(source, [path], options)


def _rows(section: Section, made: dict[tuple[int, bool], list[Offer]], above: str) -> Iterator[Explained]:
    """Yield a section's rows and those of the sections below; `above` is what the section above means for them."""
    whole, *cut = made.get((id(section), False), [None])
    if above == "in the above" and navigation_header(section.header, whole=True):
        above = "left out"
    yield _row(section, whole, above)
    for offer in [*made.get((id(section), True), []), *cut]:
        yield _row(section, offer, above)
    if whole is not None and isinstance(whole.result, Segment):
        above = "in the above"
    elif whole is not None and isinstance(whole.result, Rejection) and whole.result.rule in NO_PLACE:
        above = "not offered"
    for child in section.children:
        yield from _rows(child, made, above)


def _row(section: Section, offer: Offer | None, above: str) -> Explained:
    if offer is None:
        return Explained(section.header, section.level, False, len(section.text()), above)
    about = (section.header, section.level, offer.lead, offer.characters)
    if isinstance(offer.result, Rejection):
        return Explained(*about, "dropped", offer.result.rule, offer.result.detail, offer.part)
    rule, detail = _asked(offer.result)
    return Explained(*about, "kept", rule, detail, offer.part)


def _asked(segment: Segment) -> tuple[str, str]:
    """Return what the header of a segment asks, or why that is not taken; twice "" if it does not ask."""
    asked = request(segment.header_path[-1]) if segment.header_path else ""
    if not asked:
        return "", ""
    found = fault(asked, segment)
    return ("no natural pair", ": ".join(found)) if found else ("natural pair", asked)
