"""Natural pairs: a header that asks, and the text under it that answers; a person wrote both (ours).

"How to file a claim online" and "What is photosynthesis?" are requests as people type them. Many headers that look alike
are none: they tease ("Mobile app or sociologist?"), lean on their page ("What happens next?") or speak to somebody ("How
did you find usability?"). So a header has to have one of few forms, name what it is about, and head a text that is there as
a whole. What a person wrote stays as it is. The forms are English, and other languages have no natural pairs here.
"""

import html
import re
from collections.abc import Iterable

from askback.corpus.filters.voice import personal_share
from askback.execution.forecast import Forecast, ForecastContext, Pairs
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step, larger
from askback.recipe import Natural
from askback.records import Example, Segment, exchange, record_id, reject
from askback.text.words import normal

STAGE = "headers that ask"
PIECE = 2048

FEWEST_WORDS, MOST_CHARS = 3, 200
HEADER_CHARS = 2000
"""A longer header is no request; `html.unescape` fails on a number of more than 4,300 digits."""
ABOUT = 3
"""Number of words that name something, from which on a header says what it is about. With fewer, a header above has to hold
one of them too, so that the page is about this; or there is none above, so that it is the page's own title."""
PERSONAL = 0.15
"""Share of the sentences in the first person from which on a text is an interview's answer or somebody's story."""

_LABEL = re.compile(r"\A(?:\d{1,3}(?:\.\d{1,3}){0,3}[.):]?|Q(?:uestion)?[ .:]{0,2}\d{0,3}[.):])\s{1,3}", re.IGNORECASE)
_BEFORE = re.compile(r"\A[^\w\"'“‘(]{1,10}")
_EMPHASIS = re.compile(r"\*{1,3}|`")
_HOW_TO = re.compile(r"how to (?!do\b|be\b)[a-z-]+ \S", re.IGNORECASE)
_VERB = r"(?:is|are|was|were|do|does|did|can|could|should|would|will|may|must|has|have)(?:n['’]t)?"
_QUESTION = re.compile(
    rf"(?:what|which|who|when|where|why|how)(?:['’]s| {_VERB}) \S"
    rf"|(?:what|which|whose) (?!to |about |if )[a-z' -]{{2,40}}? {_VERB} \S"
    r"|(?:what|who) (?:happens|makes|causes|qualifies|counts) \S"
    r"|how (?:much|many|long|often|far|soon|big|large|old) \S"
    r"|why (?:use|study|learn|choose) \S"
    r"|(?:can|may|must|should|do|will|am) (?:i|my) \S",
    re.IGNORECASE,
)
"""A word that asks, then a verb before its subject; questions for yes or no in the first person alone, as others tease."""
_POINTING = re.compile(
    r"\b(?:this|these|those|here|above|below|following|we|us|our|ours|he|she|his|her|him|they|them|their|latter|former)\b"
    r"|\b(?:you|your|yours)\b|\b(?:that|it|its|one|ones)(?=\W*\Z)|\b(?:is|was|does|did|can|should|will) (?:that|there)\b"
    r"|\bit\b(?! (?:take|cost|mean|possible|safe|necessary|legal|ok|okay|better|worth|important)\b)"
    r"|\bthe (?:memo|checklist|exam|draft|[a-z]+ draft|playbook|toolkit|project|program|decision|data|app|site|tool|team"
    r"|book|report|survey|study|guide|page|test|results?|form|theme|catch)\b(?! (?:of|for|that)\b)",
    re.IGNORECASE,
)
"""Words that stand for something on the page, for its author, or for who is asked."""
_ANYBODY = re.compile(r"how (?:do|can|should) you |how to |(?:should|can) you ", re.IGNORECASE)
_YOU = re.compile(r"\b(?:you|your|yours)\b", re.IGNORECASE)
_SAID_BEFORE = re.compile(r"what(?: about| if|['’]s (?:new|next|more))\b", re.IGNORECASE)
_SECOND = re.compile(r"[:;—–|]| - ")
_NAMING = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NAMES_NOTHING = frozenset(
    "a about add after all also an and any anything application apply are as at be been before begin benefits best better "
    "but by can change changes considered cost could create data deal details did differ different do does doing done "
    "eligible else ever example examples expect find first for from get getting go going good great had happen happened "
    "happens has have help how i if important in information into involved is isn it join keep know learn like long look "
    "made make makes matter matters may mean means me more most much must my need needed needs new next no not now of on "
    "one option options or order other out over own people point problem process program questions really right s say "
    "service services set should so some something start started step steps still submit such support t take test testing "
    "that the them then there thing things through tips to too tools try us use used using vs want was way ways well were "
    "what what's what’s when where which who whose why will with without work working works would wrong you your".split()
)


def request(header: str) -> str:
    """Return a header as a request, if it looks like one: without number, emphasis and symbols before it; else ""."""
    if len(header) > HEADER_CHARS:
        return ""
    text = _EMPHASIS.sub("", " ".join(html.unescape(header).split()))
    text = _LABEL.sub("", _BEFORE.sub("", text)).strip()
    return text if text.endswith("?") or _HOW_TO.match(text) else ""


def fault(asked: str, segment: Segment) -> tuple[str, str] | None:
    """Return the rule by which a request is not taken, and what was found; None if the segment is its answer."""
    if segment.provenance.language not in ("", "en"):
        return "not-english", f"language {segment.provenance.language!r}"
    if len(asked) > MOST_CHARS or len(asked.split()) < FEWEST_WORDS:
        return "length", f"{len(asked.split())} words, {len(asked)} characters"
    if found := _SAID_BEFORE.match(asked):
        return "leans-on-page", f"{found[0]!r}"
    how_to = _HOW_TO.match(asked)
    if not how_to and not _QUESTION.match(asked):
        return "no-question", f"{asked[:60]!r} does not begin as one"
    if "?" in asked[:-1] or (how_to and _SECOND.search(asked)):
        return "two-in-one", "a question or title of two parts"
    if found := _POINTING.search(_YOU.sub("", asked) if _ANYBODY.match(asked) else asked):
        return "leans-on-page", f"points to something: {found[0]!r}"
    if (named := _named(asked)) is not None and not _is_about(named, segment.header_path[:-1]):
        return "leans-on-page", f"does not say what it is about: {', '.join(named) or 'no word does'}"
    if segment.lead or segment.part or segment.text.rstrip().endswith(":"):
        return "not-whole", "the text is a part of what is under the header"
    if (share := personal_share(segment.text)) > PERSONAL:
        return "first-person", f"{share:.0%} of the sentences speak of their author"
    return None


def _named(asked: str) -> list[str] | None:
    """Return the words that say what a request is about, None where there are enough of them."""
    named = [word for word in map(str.lower, _NAMING.findall(asked)) if word not in _NAMES_NOTHING and len(word) > 1]
    return None if len(named) >= ABOUT else named


STEM = 6
"""Number of letters, without the s of a plural, in which words that are taken for one agree: "approve" and "approval"."""


def _is_about(named: list[str], above: list[str]) -> bool:
    shared = {_stem(word) for header in above for word in _NAMING.findall(header)}
    return bool(named) and (not above or any(_stem(word) in shared for word in named))


def _stem(word: str) -> str:
    return word.lower().rstrip("s")[:STEM]


def is_natural(segment: Segment) -> bool:
    """Return whether a segment is the answer of a natural pair, duplicates aside."""
    asked = request(segment.header_path[-1]) if segment.header_path else ""
    return bool(asked) and fault(asked, segment) is None


def forecast(options: Natural, context: ForecastContext) -> Forecast:
    """Count on the share that was found among the segments of the sample."""
    segments = context.pairs("segments")
    train, aside = (round(segments.natural * count) for count in (segments.count, segments.held_out))
    sample = tuple(("", text) for _, text in segments.sample)
    return Forecast(Pairs(train, sample, aside, "natural"), train + aside)


@recorded(version=2, forecast=forecast, may_be_empty=True)
def find_natural(
    step: Step, options: Natural, *, segments: Records[Segment], seed: Records[Example]
) -> Records[Example]:
    """Make a pair of every segment whose header asks for it, on the segment's side of the split.

    Counted are the segments whose header looks like a request. Of several with one instruction the first is kept, that of
    a document set aside before others, and none that the seed has: what is measured is nowhere trained on.
    """
    seen = {normal(pair.instruction) for pair in seed}
    held_out = {normal(asked) for one in segments if one.split == "held-out" and (asked := _taken(one))}
    pieces = segments.cut_by_file(larger(PIECE, len(segments)))
    return step.write(Example, (_pairs_of(piece, seen, held_out) for piece in pieces))


def _taken(segment: Segment) -> str:
    return request(segment.header_path[-1]) if is_natural(segment) else ""


def _pairs_of(piece: Iterable[Segment], seen: set[str], held_out: set[str]) -> Outcome[Example]:
    outcome = Outcome[Example]()
    for segment in piece:
        if not segment.header_path or not (asked := request(segment.header_path[-1])):
            continue
        about, id = segment.provenance, record_id(segment.id, asked)
        found, same = fault(asked, segment), normal(asked)
        if not found and (same in seen or (segment.split == "train" and same in held_out)):
            found = "duplicate", "the seed, or an earlier header, has this instruction"
        if found:
            rule, detail = found
            outcome.drop(reject(id, STAGE, rule, detail, uri=about.uri, text=asked))
            continue
        seen.add(same)
        outcome.keep(STAGE, Example(id, exchange(asked, segment.text, segment.id), about, "natural", segment.split))
    return outcome
