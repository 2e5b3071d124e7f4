"""REInstruct's rules for what its models wrote (method.md 3.4): first the questions, then the answers to those kept.

Departures: what is wrong with a question is found before an answer is paid for, with the same result; "this" is a word of
its own, and no part of another.
"""

import re

from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import PostFilters
from askback.records import Candidate, Example, reject

QUESTIONS, ANSWERS = "candidates", "answers"
REFUSALS = ("sorry", "i apologize")


@recorded(version=1)
def take_questions(step: Step, options: PostFilters, *, candidates: Records[Candidate]) -> Records[Example]:
    """Take the candidates whose instruction stands alone and is not too long, without a score."""
    outcome = Outcome[Example]()
    for one in candidates:
        if found := question_fault(one.instruction, options):
            outcome.drop(reject(one.id, QUESTIONS, *found, uri=one.provenance.uri, text=one.instruction))
        else:
            outcome.keep(QUESTIONS, Example(one.id, one.messages, one.provenance, "augmented", "train"))
    return step.write(Example, [outcome])


@recorded(version=1)
def keep_answers(step: Step, options: PostFilters, *, pairs: Records[Example]) -> Records[Example]:
    """Keep the answers that are no long list, do not speak of their text, and do not decline."""
    outcome = Outcome[Example]()
    for one in pairs:
        if found := answer_fault(one.output, options):
            outcome.drop(reject(one.id, ANSWERS, *found, uri=one.provenance.uri, text=one.output))
        else:
            outcome.keep(ANSWERS, one)
    return step.write(Example, [outcome])


def question_fault(question: str, options: PostFilters) -> tuple[str, str] | None:
    """Return (rule, detail) of what is wrong with a question, else None."""
    if len(question) > options.max_instruction_chars:
        return "too-long", f"{len(question)} characters, at most {options.max_instruction_chars}"
    word = next(
        (word for word in options.unseen_words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", question, re.I)), ""
    )
    return ("unseen", f"has {word!r}, which points at what is not there") if word else None


def answer_fault(answer: str, options: PostFilters) -> tuple[str, str] | None:
    """Return (rule, detail) of what is wrong with an answer, else None."""
    lower = answer.lower()
    if (dashes := answer.count("- ")) > options.max_dashes:
        return "dashes", f"{dashes} times '- ', at most {options.max_dashes}"
    if said := next((words for words in options.mentions if words.lower() in lower), ""):
        return "mentions-text", f"says {said!r}"
    refused = next((words for words in REFUSALS if words in lower), "") if options.drop_refusals else ""
    return ("refusal", f"says {refused!r}") if refused else None
