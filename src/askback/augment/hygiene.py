"""Instruction hygiene: rules that reject text of the backward model that is no instruction (method.md 6.4).

The paper names no such rules; reproductions of it had many empty, echoing and template-leaking instructions (method.md
6.3). Each rule is a function of the instruction, its segment and the options, and returns the fault it finds, "" for none.
The words of `dangling`, `no_request` and `an_answer` are English: they apply to English segments, and to segments whose
language was not detected. Whether the segment answers the instruction is decided in `select`, from the judgements.
"""

import re
from collections.abc import Callable

from askback import prompts
from askback.engines.protocol import Completion
from askback.recipe import Augment
from askback.records import Segment
from askback.text.endings import FINAL, PHRASE_SPACE, QUESTIONS, width
from askback.text.language import certain_language, plainly_english
from askback.text.verbs import verbs
from askback.text.words import fold, in_a_row, join, words


def fault(completion: Completion, segment: Segment, options: Augment) -> tuple[str, str] | None:
    """Return (rule, detail) of the first rule that a completion of the backward model breaks, else None.

    "empty", "unfinished" and "no-instruction" always apply, and the `RULES` that `Augment.skip_rules` does not name.
    """
    instruction = completion.text.strip()
    if not words(instruction):
        return "empty", "no word in it"
    if _declines(instruction, options):
        return "no-instruction", "the model that writes instructions found none"
    if not completion.finished:
        return "unfinished", f"not ended within {options.max_new_tokens} tokens"
    for name, rule in RULES.items():
        if name not in options.skip_rules and (detail := rule(instruction, segment, options)):
            return name, detail
    return None


def _declines(instruction: str, options: Augment) -> bool:
    """Return whether the answer is that no instruction fits; a model that was not trained on these words may go on."""
    spoken = _spoken(instruction)
    return spoken == _NO_INSTRUCTION or (
        options.prompt == "writer" and spoken[: len(_NO_INSTRUCTION)] == _NO_INSTRUCTION
    )


def too_long(instruction: str, segment: Segment, options: Augment) -> str:
    """Find more than `max_instruction_chars` characters (ours: 800; the paper's chosen ones average 115)."""
    limit = options.max_instruction_chars
    return f"{len(instruction)} characters, at most {limit}" if len(instruction) > limit else ""


PROMPT_WORDS = 6
"""Number of words in a row from the backward prompt that count as a leak (ours)."""
_MARK = re.compile(r"\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8}\b")
"""The form of the marks around a text in a prompt (`prompts.marker`), but for one in forty, which is a number."""


def template_leak(instruction: str, segment: Segment, options: Augment) -> str:
    """Find words of the prompt, a tag, a mark or chat-template markup in an instruction (method.md 6.3, 6.4)."""
    if prompts.inert(instruction) != instruction:
        return "holds chat-template markup"
    lower = instruction.lower()
    for tag in (prompts.SEED_TAG, prompts.WEB_TAG):
        if tag.lower().rstrip(".") in lower:
            return f"holds the tag {tag!r}"
    if mark := next((mark for mark in _MARK.findall(instruction) if mark not in segment.text), ""):
        return f"holds a mark: {mark}"
    copied = _shared_run(instruction, _PROMPTS[options.prompt], PROMPT_WORDS)
    return f"repeats the prompt: {copied!r}" if copied else ""


def echo(instruction: str, segment: Segment, options: Augment) -> str:
    """Find `copied_words` consecutive words of the segment (method.md 6.4 gives no number; 12 is ours)."""
    copied = _shared_run(instruction, segment.text, options.copied_words)
    return f"quotes the segment: {copied!r}" if copied else ""


_UNSEEN = (
    r"(?P<noun>text|article|passage|excerpt|paragraph|document|essay|post|blog|page|webpage|section|chapter|snippet|extract"
    r"|image|picture|photo|figure|diagram|chart|graph|table|screenshot|attachment|link|video|list|poem|story|statement"
    r"|response|activity|lesson|course|exercise)s?\b"
)
DANGLING = [
    (signs.split(), re.compile(pattern, re.IGNORECASE))
    for signs, pattern in (
        ("this these", rf"\b(?:this|these) (?:\w+ )?{_UNSEEN}(?! of\b)"),
        (
            "above following given provided attached preceding previous below",
            rf"\b(?:the|an?|that) (?:above|following|given|provided|attached|preceding|previous|below) (?:\w+ )?{_UNSEEN}",
        ),
        ("above below", rf"\b{_UNSEEN} (?:(?:given|shown|provided|attached|linked|listed) )?(?:above|below)\b"),
        (
            "text article passage excerpt paragraph document list",
            r"\b(?:in|from|to|by|of|on|with) the (?P<noun>text|article|passage|excerpt|paragraph|document|list)\b"
            r"(?! (?:of|that)\b| ['\"“‘])",
        ),
        (
            "article passage excerpt author",
            r"\bthe (?P<noun>article|passage|excerpt|author) (?:says?|states?|mentions?|describes?|argues?|claims?)\b",
        ),
        (
            "figure table fig. exercise chapter section example",
            r"\b(?P<noun>figure|table|fig\.|exercise|chapter|section|example) \d+\.\d+\b",
        ),
        (
            "above below",
            r"\b(?:mentioned|described|shown|listed|discussed|as seen) (?:above|below)\b|\bthe above(?=[,.?!]|$)",
        ),
        ("attach", r"\battached (?P<noun>file|document|image|picture|photo)s?\b|\bthe attachment\b"),
    )
]
"""Patterns, each with words of which every match holds at least one: few instructions do, so few patterns are tried."""
MATERIAL_WORDS = 5
"""Number of words after a colon, on a further line or between quotation marks from which on an instruction contains the
text it refers to (ours)."""
_MATERIAL = re.compile(r":\s+(?P<colon>\S.*)|(?<!\n)\n+(?P<line>\S.*)|[\"“](?P<quoted>[^\"“”]+)[\"”]", re.DOTALL)


def dangling(instruction: str, segment: Segment, options: Augment) -> str:
    """Find a reference to something the user does not show: "this article", "the text above", "Figure 2.1".

    From method.md 6.4; REInstruct drops every "this" (3.4), Kun a list of words (4). Narrower than both: "this" before
    other nouns passes, and so does an instruction with `MATERIAL_WORDS` words of material, or one that has named the thing
    before ("Write a list … Sort this list").
    """
    if not _english(segment):
        return ""
    if any(len(found[found.lastgroup or 0].split()) >= MATERIAL_WORDS for found in _MATERIAL.finditer(instruction)):
        return ""
    lower = instruction.lower()
    for signs, pattern in DANGLING:
        # Beyond ASCII, letters that lower() keeps apart are one to IGNORECASE, such as ſ and s.
        if instruction.isascii() and not any(map(lower.__contains__, signs)):
            continue
        found = pattern.search(instruction)
        noun = found.groupdict().get("noun") if found else None
        if found and not (noun and re.search(rf"\b{re.escape(noun)}s?\b", instruction[: found.start()], re.IGNORECASE)):
            return f"refers to what is not there: {found[0]!r}"
    return ""


def several_questions(instruction: str, segment: Segment, options: Augment) -> str:
    """Find more than `max_questions` question marks at ends of sentences, or a repeated sentence (ours)."""
    count = len(_QUESTION_ENDS.findall(instruction))
    if count > options.max_questions:
        return f"{count} questions, at most {options.max_questions}"
    parts = [found for part in _SENTENCE_ENDS.split(instruction) if len(found := words(part)) >= in_a_row(found, 3)]
    twice = next((part for number, part in enumerate(parts) if part in parts[:number]), None)
    return f"says twice: {join(twice)[:80]!r}" if twice else ""


LANGUAGE_CHARS = 40
LANGUAGE_CERTAINTY = 0.95
"""Smallest number of characters and smallest probability at which the classifier is believed (ours). Of 2,998
OpenAssistant instructions labelled English, it drops six, none of which is; without these bounds it would drop 40."""


def wrong_language(instruction: str, segment: Segment, options: Augment) -> str:
    """Find another language than the segment's. A short instruction, or an unsure classification, passes."""
    if not segment.provenance.language or width(instruction) < LANGUAGE_CHARS:
        return ""
    if segment.provenance.language == "en" and plainly_english(instruction):
        return ""  # saves nine tenths of the time, which the classifier takes
    code, certainty = certain_language(instruction)
    if code == segment.provenance.language or certainty < LANGUAGE_CERTAINTY:
        return ""
    return f"language {code!r} with probability {certainty:.3f}, the segment's is {segment.provenance.language!r}"


_ANSWER = re.compile(
    r"(?:sure|certainly|of course|absolutely)[,!.] |here(?:'s| is| are) (?:an?|the|some|my|your|\d+|one|two|three)\b"
    r"|(?:as an|i am an|i'm an) (?:ai|language model)|(?:answer|response|score|output)\s*:|the answer is\b",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\s*(?:(?:\d{1,2}[.)]|[-*•・])\s+|\d{1,2}[、．）]\s*)\S")
_QUESTION = frozenset(QUESTIONS)
LIST_LINES = 3


def an_answer(instruction: str, segment: Segment, options: Augment) -> str:
    """Find an answer in place of an instruction: "Sure, here is …", "Answer: …", or a list from its first line (ours)."""
    asks = not _QUESTION.isdisjoint(instruction)
    if _english(segment) and (found := _ANSWER.match(instruction)) and not asks:
        return f"begins as an answer does: {found[0]!r}"
    lines = [line for line in instruction.splitlines() if line.strip()]
    items = sum(_ITEM.match(line) is not None for line in lines)
    if items >= LIST_LINES and _ITEM.match(lines[0]) and not asks:
        return f"a list of {items} items"
    return ""


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_QUESTION_WORDS = _set("""
what what's whats who who's whom whose which when where where's why how how's is isn't are aren't was were do don't
does did can could will would should shall may might must has have had am if
""")
_REQUEST_WORDS = _set("""
i i'm i'd i've i'll im me my mine we we're our us you you're your please need want
vs versus difference differences meaning definition example examples ideas tips recipe ways steps list outline
""")
_TASK_WORDS = _set("""
act add brainstorm categorise categorize cite classify code complete concatenate congratulate contrast convince craft
debug decrypt derive detail differentiate discuss draft edit elaborate express extract fix imagine implement infer
interpret invent justify list narrate optimise optimize paraphrase predict pretend prove quote rank rate recite
recommend refactor reply rephrase respond retell rewrite say simplify simulate solve summarise summarize summaries
tell transcribe translate tutorial
""")

_ASKS = re.compile(
    r"\b(?:how|what|why|which|who|where|when)\b \w*\s?"
    r"\b(?:is|are|was|were|do|does|did|can|could|to|would|should|many|much)\b"
    r"|^let'?s\b|^(?!(?:about|above|across|after|against|all|along|among|and|around|as|at|before|behind|below|beyond|but|by"
    r"|for|from|in|inside|into|like|not|of|off|on|or|over|since|through|to|towards?|under|until|with|within|without)\b"
    r"|\w+ing\b)\w+ (?:the|an?|all|each|every)\b",
    re.IGNORECASE,
)


def no_request(instruction: str, segment: Segment, options: Augment) -> str:
    """Find a title or a statement: text without a question or a request (ours).

    An instruction passes with a question mark, a word of a speaker (I, my, please …) or of a search query (difference,
    examples, recipe …), a question inside ("how do"), a clause that opens with a question word or a verb in its base form,
    perhaps after an adverb ("Briefly explain"), or a first word before an article that is no preposition ("Document the").
    Titles that look like a request ("Plant cells") pass too.
    """
    if not _english(segment) or "?" in instruction:
        return ""
    if _REQUEST_WORDS.intersection(_spoken(instruction)):
        return ""
    clauses = [spoken for part in _CLAUSE_ENDS.split(instruction) if (spoken := _spoken(part))]
    openings = {word for spoken in clauses for word in spoken[: 5 if spoken[0].endswith("ly") else 1]}
    if openings & (_QUESTION_WORDS | _TASK_WORDS | verbs()[0]) or _ASKS.search(instruction):
        return ""
    return "asks for nothing: no question and no verb that tells what to do"


RULES: dict[str, Callable[[str, Segment, Augment], str]] = {
    "too-long": too_long,
    "template-leak": template_leak,
    "language": wrong_language,
    "an-answer": an_answer,
    "echo": echo,
    "dangling": dangling,
    "several-questions": several_questions,
    "no-request": no_request,
}
"""Rules by name, in the order in which they are applied."""


def _english(segment: Segment) -> bool:
    return segment.provenance.language in ("en", "")


def _spoken(text: str) -> list[str]:
    """Return the words of an English text, each with the letters after its apostrophe."""
    return _SPOKEN_WORDS.findall(text.lower().replace("’", "'"))


def _shared_run(text: str, other: str, length: int) -> str:
    """Return the first `length` consecutive words of `text` that are also in `other`, "" if there are none."""
    mine = words(text)
    length = in_a_row(mine, length)
    runs = [mine[start : start + length] for start in range(len(mine) - length + 1)]
    if not runs:
        return ""
    folded = fold(other)
    # Most runs have a word that is nowhere in the other text, which a substring search finds without tokenising it.
    likely = [run for run in runs if all(map(folded.__contains__, run))]
    theirs = f" {' '.join(words(other))} " if likely else ""
    return next((join(run) for run in likely if f" {' '.join(run)} " in theirs), "")


_SPOKEN_WORDS = re.compile(r"\w+(?:'\w+)?")
_QUESTION_ENDS = re.compile(rf"\?(?=[\s\"”')\]]|$)|[{QUESTIONS[1:]}]")
_SENTENCE_ENDS = re.compile(rf"[\n{re.escape(''.join(FINAL))}{QUESTIONS}]+|{PHRASE_SPACE}")
_CLAUSE_ENDS = re.compile(r"[.!:;,\n]+")
_PROMPTS = {
    "backward": prompts.backward("").user,
    "writer": "\n".join(prompts.writer("", style, [("", "")]).user for style in prompts.STYLES),
}
"""The words of each prompt that asks for an instruction."""
_NO_INSTRUCTION = _spoken(prompts.NO_INSTRUCTION)
