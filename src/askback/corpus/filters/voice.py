"""Rules on style and voice: REInstruct's (method.md 3.2), and personal experience (method.md 1.7). Off by default."""

import re

from askback.recipe import Corpus
from askback.text.prose import plain_lines
from askback.text.verbs import verbs

_BANNED = re.compile(r"\.\.\.|[…™®@#&*]")
_PRONOUN = re.compile(r"(?<!\S)(?:i've|we've|we're|we|our|i|my|he|she|us)(?![\w'])")
_FIRST_WORD = re.compile(r"(\w+) ")
_STRIPPED = ".,;:!?'\"’‘“”()[]{}<>`_-–—/"
MAX_PRONOUNS, MAX_QUESTIONS, MAX_CAPITALISED, MAX_REPEATS = 2, 1, 2, 1
VERB_LINES = range(4, 11)


def reinstruct_style(text: str, options: Corpus) -> str | None:
    """Rule "reinstruct-style": not written as a how-to in which almost every paragraph opens with a verb.

    REInstruct's selection from C4, its length bounds apart (1,200 to 3,000 characters: preset `reinstruct`). All have to
    hold: no ellipsis, ™, ®, @, #, & or *; at most 2 pronouns of the first and third person; at most 1 question mark; at
    most 2 words in capitals; and the paragraph openings of `_openings`. On with `reinstruct_style`.

    Departures: it reads segments, not whole pages, without the Markdown marks of headers and lists, and a paragraph or
    list item is a line. A word is in capitals only if it has a letter and more than one character: the original strips no
    punctuation and takes digits for capitals, so it rejects any text of three numbers.
    """
    if not options.reinstruct_style:
        return None
    lines = plain_lines(text)
    body = "\n".join(lines)
    if found := _BANNED.search(body):
        return f"holds {found[0]!r}, none wanted"
    if (count := len(_PRONOUN.findall(body.lower().replace("’", "'")))) > MAX_PRONOUNS:
        return f"{count} pronouns, at most {MAX_PRONOUNS} wanted"
    if (count := body.count("?")) > MAX_QUESTIONS:
        return f"{count} question marks, at most {MAX_QUESTIONS} wanted"
    if (count := sum(map(capitalised, body.split()))) > MAX_CAPITALISED:
        return f"{count} words in capitals, at most {MAX_CAPITALISED} wanted"
    return _openings(lines)


def capitalised(token: str) -> bool:
    """Tell whether a token is a word in capitals; "A", "1." and "2020" are not."""
    word = token.strip(_STRIPPED)
    return len(word) > 1 and any(map(str.isalpha, word)) and word == word.upper()


def _openings(lines: list[str]) -> str | None:
    """Say what is wrong with the first words of the lines after the first.

    At most one may repeat; 4 to 10 of them are base forms of verbs, or 4 to 10 are -ing forms; and there are fewer line
    breaks than two more than these.
    """
    words = [match[1].lower() for line in lines[1:] if (match := _FIRST_WORD.match(line))]
    if (repeats := len(words) - len(set(words))) > MAX_REPEATS:
        return f"{repeats} lines open with a word of another, at most {MAX_REPEATS} wanted"
    base, gerund = (sum(word in forms for word in words) for forms in verbs())
    count = base if base in VERB_LINES else gerund
    if count not in VERB_LINES:
        found = f"{base} lines open with a verb and {gerund} with an -ing form"
        return f"{found}, {VERB_LINES[0]} to {VERB_LINES[-1]} of either wanted"
    if (breaks := len(lines) - 1) >= count + 2:
        return f"{breaks} line breaks and {count} lines that open with a verb, fewer than {count + 2} wanted"
    return None


_QUOTED = re.compile(r"“[^“”\n]*”|\"[^\"\n]*\"")
_ENDED = re.compile(r"(?<=[.!?])\s+")
_FIRST_PERSON = re.compile(r"\bI(?:['’](?:m|ve|d|ll))?(?= [a-z])|\b(?:[Mm]y|[Mm]yself|me)\b")


def personal(text: str, options: Corpus) -> str | None:
    """Rule "personal-voice": more than `max_personal_share` of the sentences speak of their author (I, me, my). Off at 1.

    The paper's rubric marks down "personal experience" and the voice of a blog; this finds it without a model, so a corpus
    of blogs costs no scoring. Ours. What stands in quotation marks is not looked at, nor is code.
    """
    limit = options.max_personal_share
    if limit >= 1:
        return None
    share = personal_share(text)
    if share <= limit:
        return None
    return f"{share:.1%} of the sentences speak of their author, at most {limit:.1%} wanted"


def personal_share(text: str) -> float:
    """Return the share of the sentences that speak of their author; what is quoted, and code, is left aside."""
    prose = [one for line in plain_lines(text) for one in _ENDED.split(_QUOTED.sub("", line)) if one.strip()]
    return sum(bool(_FIRST_PERSON.search(one)) for one in prose) / max(len(prose), 1)
