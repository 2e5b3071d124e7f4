"""The rules that drop a segment (method.md 1.4).

Each is a plain function that returns None when the segment may stay, else a short detail: what was found, and the limit.
The rules on headers are for text that has one.
"""

import re
from functools import lru_cache
from typing import Any

from askback.config import Corpus

PAPER_WORDS = re.compile(r"\b(?:advertise?ments?|forums?|quick links?|free newsletters?)\b")
"""The paper's examples of navigation words; a header that holds one anywhere is dropped, as there."""

OUR_HEADERS = re.compile(
    r"(?:(?:more |other )?(?:related|recent|popular|latest|similar|recommended)"
    r"(?: (?:posts?|articles?|links?|pages?|topics?|content|stories|reading|resources?|videos?|products?|questions?))?"
    r"|share(?: (?:this|on|via))?(?: (?:page|post|article|story|recipe|entry))?|sharing|follow us|subscribe|sign up|log ?in"
    r"|(?:\d+ )?(?:comments?|responses|replies)|(?:leave|post|add|write) a (?:comment|reply|review)"
    r"|(?:table of )?contents|toc|on this page|in this (?:article|section)|(?:main |site )?(?:navigation|menu)|search"
    r"|newsletter|site ?map|categories|tags|archives?|breadcrumbs?|you (?:may|might) also like|read (?:more|next)|see also"
    r"|(?:external )?links|references|bibliography|further reading|footnotes|about the authors?|author|sponsors?"
    r"|cookies?(?: (?:policy|settings|preferences))?|privacy policy|contact(?: us)?"
    r"|change ?log|release notes|copyright|license|licence)"
)
"""Ours: a header that is one of these as a whole. As a part of a header such words are ordinary ("Market share")."""


def too_short(text: str, options: Corpus) -> str | None:
    """Rule "too-short": fewer than `min_chars` characters (the paper: 600)."""
    return f"{len(text)} characters, at least {options.min_chars} wanted" if len(text) < options.min_chars else None


def too_long(text: str, options: Corpus) -> str | None:
    """Rule "too-long": more than `max_chars` characters (the paper: 3,000)."""
    return f"{len(text)} characters, at most {options.max_chars} wanted" if len(text) > options.max_chars else None


def empty_header(header: str) -> str | None:
    """Rule "empty-header": a header without a letter or digit (the paper: empty headers)."""
    return None if any(character.isalnum() for character in header) else f"header {header!r}"


def capital_header(header: str) -> str | None:
    """Rule "capital-header": a header of two or more letters, all of them capitals (the paper: all-uppercase)."""
    if not header.isupper():
        return None
    letters = sum(character.isalpha() for character in header)
    return f"header {header!r}" if letters > 1 else None


@lru_cache(maxsize=4096)
def navigation_header(header: str) -> str | None:
    """Rule "navigation-header": a header that holds navigation words.

    The paper gives four examples (`PAPER_WORDS`) and not its list; `OUR_HEADERS` adds the usual ones, matched as a whole.
    """
    words = " ".join(re.sub(r"[^\w\s'-]", " ", header.lower()).split())
    found = PAPER_WORDS.search(words) or OUR_HEADERS.fullmatch(words)
    return f"header {header!r}, navigation words {found[0]!r}" if found else None


_FENCED = re.compile(r"^[ >]*(`{3,}).*?^[ >]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_MARKS = "> -*+#:0123456789.)"
_ENDED = ("! ", "? ", '." ', ".” ", ".) ", '?" ', "?” ")


TINY = 1e-9  # a product of floats may be this much above the whole number it stands for


def sentences(text: str) -> list[str]:
    """Return the sentences of a segment; the marks of lists and headers before them are removed.

    Code and tables are left out. A line break ends a sentence, and so does a full stop, question or exclamation mark
    with a space after it.
    """
    if "```" in text:
        text = _FENCED.sub("", text)
    for end in _ENDED:
        if end in text:
            text = text.replace(end, ". ")
    if "。" in text:
        text = text.replace("。", ". ")
    lines = [line.lstrip(_MARKS) for line in text.split("\n") if line and line[0] != "|"]
    return [sentence for line in lines for sentence in line.rstrip('.!?”" ').split(". ") if sentence]


def repeated_sentences(text: str, options: Corpus) -> str | None:
    """Rule "repeated-sentences": two sentences share too many word n-grams.

    The paper drops segments by the Jaccard similarity of n-grams over all pairs of sentences, and gives neither n nor
    the limit; ours are `repeat_ngram` and `repeat_jaccard`. A word is what stands between spaces, in lower case. A
    sentence of n different n-grams or fewer is never a repetition, ours too: short ones recur in good text ("Explain
    your answer."). The result is that of comparing all pairs; but a sentence that has too many n-grams found nowhere
    else in the text to reach the limit is not compared.
    """
    n, limit = options.repeat_ngram, options.repeat_jaccard
    words = [*" \n ".join(sentences(text.lower())).split(" "), "\n"]
    grams = list(zip(*[words[start:] for start in range(n)], strict=False))
    once: set[tuple[str, ...]] = set()
    common = {gram for gram in grams if gram in once or once.add(gram)}  # type: ignore[func-returns-value]
    if len(common) < max(limit * (n + 1) - TINY, 1):
        return None
    compared: list[set[tuple[str, ...]]] = []
    start = 0
    while start < len(words):
        end = words.index("\n", start)
        mine = set(grams[start : max(end - n + 1, start)])
        if len(mine) > n and len(mine & common) >= limit * len(mine) - TINY:
            for other in compared:
                shared = len(mine & other)
                similarity = shared / (len(mine) + len(other) - shared)
                if shared and similarity >= limit:
                    return f"similarity {similarity:.2f}, limit {limit}: {' '.join(words[start:end])[:80]!r}"
            compared.append(mine)
        start = end + 1
    return None


MIN_PROSE = 0.3
"""Least share of a segment's characters that must be in lines of prose. In recipes, a list of ingredients over half as
much instruction passes; tables of links, indexes and lists of names do not."""

_SENTENCE_CHARS = 28
_LONG_LINE = 80
_ENDS = tuple(".!?:;。！？")


def no_prose(text: str) -> str | None:
    """Rule "no-prose" (ours): less than `MIN_PROSE` of the text is in lines of prose.

    Such a line ends as a sentence does, or is longer than a title or the text of a link. The paper has no such rule; its
    corpus holds only highly linked pages. What it drops are lists of links, names and numbers, which answer nothing.
    """
    prose = 0
    for line in text.split("\n"):
        size = len(line)
        if size >= _SENTENCE_CHARS and (
            line.rstrip("”\"')]*_` ").endswith(_ENDS) or (size >= _LONG_LINE and line[0] != "|")
        ):
            prose += size
    share = prose / max(len(text), 1)
    return f"{share:.0%} of the text is prose, at least {MIN_PROSE:.0%} wanted" if share < MIN_PROSE else None


LANGUAGE_CHARS = 600
"""So much of a segment is looked at for its language."""

ENGLISH = {
    *(
        "the",
        "of",
        "and",
        "to",
        "in",
        "is",
        "that",
        "for",
        "it",
        "with",
        "as",
        "on",
        "are",
        "this",
        "you",
        "your",
        "be",
        "by",
    ),
    *(
        "from",
        "or",
        "an",
        "at",
        "have",
        "has",
        "had",
        "not",
        "can",
        "will",
        "would",
        "should",
        "when",
        "what",
        "how",
        "which",
    ),
    *(
        "who",
        "their",
        "they",
        "we",
        "our",
        "been",
        "were",
        "if",
        "into",
        "than",
        "there",
        "these",
        "those",
        "each",
        "other",
    ),
    *("use", "using", "make"),
}
PLAINLY_ENGLISH = 0.2
"""A text of which so many words are these needs no classifier, which would cost as much as all other work together. Of
other languages' words, at most one in ten is spelled like one of these."""


def language(text: str) -> str:
    """Return the two-letter code of the text's language; code is not looked at."""
    prose = _FENCED.sub("", text) if "```" in text else text
    prose = (prose if prose.strip() else text)[:LANGUAGE_CHARS]
    words = prose.lower().split()
    if len(words) >= 50 and sum(map(ENGLISH.__contains__, words)) >= PLAINLY_ENGLISH * len(words):
        return "en"
    return str(_identifier().classify(prose)[0])


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


def other_language(code: str, options: Corpus) -> str | None:
    """Rule "language": not one of `languages` (the paper uses the English part of its crawl)."""
    return f"language {code!r}, wanted {', '.join(options.languages)}" if code not in options.languages else None
