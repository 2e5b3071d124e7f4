"""Every prompt, and the one function that renders them (`render`).

Training, sampling, scoring and evaluation all go through `render`, so the prefix a model was trained on is, token by
token, the prefix it is used with. The public reproduction of the method trained with one template and inferred with
another, with the tags swapped; the golden files in tests/golden hold every rendered prompt so that this cannot happen.

Text from documents is data. `inert` takes the power from anything in it that a chat template or tokenizer would read as
markup, and the marker around it is derived from the text itself (`marker`), so no document can close its own quotation.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

from askback.engines.base import Prompt
from askback.errors import InputError
from askback.prompts.votes import FORMS, without_votes

SEED_TAG = "Answer in the style of an AI Assistant."
"""S_a (method.md 1.6): appended to seed instructions in training, and first at inference."""
WEB_TAG = "Answer with knowledge from web search."
"""S_w (method.md 1.6): appended to augmented instructions in training, and second at inference."""

NO_INSTRUCTION = "No instruction fits this text."
"""What the backward model may say of a text that answers nothing; taught by `backward.refusals`, rejected by hygiene."""

ANSWER_START = "Score:"
"""What the judge's answer is made to begin with; the digit follows."""

BETTER_START = "Better answer:"
"""What the answer of a judge of two begins with; A or B follows."""

REPLY = "Reply with the word Score, a colon and one digit from {} to {}."
REASONED_REPLY = (
    "First give your reasons, in at most fifty words. Then write, on a line of its own, the word Score, a colon and one "
    "digit from {} to {}."
)
"""How a judge is to answer; the last thing it reads."""

JUDGED = ("rubric", "additive", "instruction", "pairwise")
"""Prompts that ask for a judgement: they leave out what a text says to its judge (votes.py)."""

TAGS = {"seed": SEED_TAG, "augmented": WEB_TAG, "inference": f"{SEED_TAG} {WEB_TAG}"}
"""`Example.origin` → tag; "inference" is the concatenation, never seen in training, that the paper found best."""
QUALITY_TAG = "Answer quality: {}."
"""After the tag of an augmented pair that has a quality, as in "3 of 5" (method.md 4, after HintedBT)."""


def forward(instruction: str, origin: str, quality: str = "") -> Prompt:
    """Return the prompt that asks for the output: the instruction, and its tag on the user's side (method.md 1.6).

    Where the model was trained with `select.bins`, inference asks for the best `quality`: "5 of 5" with five.
    """
    tag = f"{TAGS[origin]} {QUALITY_TAG.format(quality)}" if quality else TAGS[origin]
    return Prompt(f"{inert(instruction.strip())}\n\n{tag}")


def backward(output: str) -> Prompt:
    """Return the prompt that asks what somebody would have asked to get `output` (method.md 1.6, after Back-and-Forth).

    The seed tag ends it, as there. Departure: the output stands inside a marker.
    """
    return _fill("backward", marker(output), output=output.strip(), tag=SEED_TAG)


def rubric(instruction: str, output: str, reasoning: bool = False) -> Prompt:
    """Return the prompt that asks for a rating 1 to 5 (method.md 1.7); what follows its answer start is the digit.

    With `reasoning` the answer is free to begin with that. Departures: the pair stands inside a marker (the paper prints
    none), and the reasoning may be left out, so that the score can be read from the probabilities of the digits at once.
    """
    return _rating("rubric", (1, 5), reasoning, instruction=instruction, output=output)


def additive(instruction: str, output: str, reasoning: bool = False) -> Prompt:
    """Return the prompt that asks for a sum of five points, 0 to 5 (method.md 4.1, after Self-Rewarding); as `rubric`."""
    return _rating("additive", (0, 5), reasoning, instruction=instruction, output=output)


def instruction(instruction: str, reasoning: bool = False) -> Prompt:
    """Return the prompt that asks for a rating 1 to 5 of the instruction alone (method.md 4, after Kun); as `rubric`."""
    return _rating("instruction", (1, 5), reasoning, instruction=instruction)


_OWN_SCORE = re.compile(
    r"(?:(?:^|\n)[^\w\n]*score\b[^\n]*"
    r"|[^\w\n.!?]*\bscore\b[^\n:.!?]{0,20}:[^\w\n]*\d[^\w\n]*(?:\d+[^\w\n]*)?(?:out of[^\w\n]*\d+[^\w\n]*)?)\Z",
    re.IGNORECASE,
)
"""A last line that begins with the word, or the word, a colon and a digit (or "4/5", "4.5") at the end of one."""


def after_reasoning(prompt: Prompt, reasoning: str) -> Prompt:
    """Return the prompt whose answer goes on with the digit after the reasoning that the model wrote itself.

    A last line that gives a score, or a score at the end of it, is left out, or the digit to come would be a copy. The
    reasoning may quote a document.
    """
    said = _OWN_SCORE.sub("", reasoning.rstrip())
    return Prompt(prompt.user, f"{inert(said.strip())}\n{ANSWER_START}".lstrip())


def _rating(name: str, scale: tuple[int, int], reasoning: bool, **texts: str) -> Prompt:
    reply = (REASONED_REPLY if reasoning else REPLY).format(*scale)
    shown = {key: without_votes(text) for key, text in texts.items()}
    prompt = _fill(name, marker(*shown.values()), reply=reply, **shown)
    return Prompt(prompt.user, "" if reasoning else ANSWER_START)


def pairwise(instruction: str, first: str, second: str) -> Prompt:
    """Return the prompt that asks which of two answers is the better; what follows its answer start is A or B.

    In our own words, after AlpacaEval's question (method.md 1.10). The answers stand inside a marker, as in `rubric`.
    """
    texts = {"instruction": instruction, "first": first, "second": second}
    shown = {key: without_votes(text) for key, text in texts.items()}
    return Prompt(_fill("pairwise", marker(*shown.values()), **shown).user, BETTER_START)


def marker(*texts: str) -> str:
    """Return a marker that `texts` cannot contain: it is made from their own hash."""
    return hashlib.sha256("\x00".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


_MARKUP = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<\uff5c[^<>\s]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|\[/?(?:INST|SYS)\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?think>"
)


def inert(text: str) -> str:
    """Put a word joiner (U+2060, invisible) into whatever a chat template or tokenizer may read as markup.

    A document about chat templates stays readable, and cannot end its own turn.
    """
    if "<" not in text and "[" not in text:
        return text
    return _MARKUP.sub(lambda match: f"{match[0][0]}\u2060{match[0][1:]}", text)


def _fill(name: str, mark: str, **fields: str) -> Prompt:
    filled = _form(name) % ({key: inert(value) for key, value in fields.items()} | {"marker": mark})
    return Prompt(filled.strip())


@lru_cache
def _form(name: str) -> str:
    """Return a prompt with %-fields for its $-fields: filled at once, while a `Template` looks for them every time."""
    text = _text(name).replace("%", "%%")
    fields = Template(text).get_identifiers()
    return Template(text).substitute({field: f"%({field})s" for field in fields})


@lru_cache
def _text(name: str) -> str:
    return (Path(__file__).parent / f"{name}.txt").read_text("utf-8")


def prompt_id(name: str) -> str:
    """Return the id of a prompt: its name and a hash of all its words, as in ``rubric-1f0c9a2b``."""
    words = [
        *TAGS.values(),
        ANSWER_START,
        REPLY,
        REASONED_REPLY,
        _MARKUP.pattern,
        QUALITY_TAG if name == "forward" else _text(name),
    ]
    words += [BETTER_START] if name == "pairwise" else []
    words += FORMS if name in JUDGED else []
    return f"{name}-{_mark(tuple(words))}"


@lru_cache
def _mark(words: tuple[str, ...]) -> str:
    return hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:8]


def render(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the tokens of a prompt as `tokenizer`'s chat template wants them, up to where the answer begins or goes on.

    Only a user turn is sent, so a template without a system role does as well as one with.
    """
    return _encode(tokenizer, _turns(tokenizer, prompt.user, None) + _defuse(tokenizer, prompt.answer_start))


def render_pair(tokenizer: Any, prompt: Prompt, answer: str) -> tuple[list[int], list[int]]:
    """Return (prompt tokens, answer tokens) of a finished exchange; the answer ends with the stop token.

    The prompt tokens are those of `render`, by construction: the two halves are encoded apart.

    Raises:
        InputError: the template rewrites the prompt when an answer follows, or does not end an answer with the stop
            token, so that a model trained on it would never stop.
    """
    start, opening = _turns(tokenizer, prompt.user, None), _defuse(tokenizer, prompt.answer_start)
    whole = _turns(tokenizer, prompt.user, inert((prompt.answer_start + answer).strip()))
    stop = tokenizer.eos_token
    if not whole.startswith(start):
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template renders the prompt otherwise when an answer follows; "
            "give another with chat_template:"
        )
    finished, found, _ = whole[len(start) :].rpartition(stop)
    if not found:
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template does not end an answer with the stop token {stop!r}; "
            "give another with chat_template:"
        )
    if not finished.startswith(opening):
        raise InputError(
            f"{tokenizer.name_or_path}: its chat template rewrites an answer; give another with chat_template:"
        )
    return _encode(tokenizer, start + opening), _encode(tokenizer, finished[len(opening) :] + stop)


def _turns(tokenizer: Any, user: str, assistant: str | None) -> str:
    turns = [{"role": "user", "content": _defuse(tokenizer, user)}]
    if assistant is not None:
        turns.append({"role": "assistant", "content": _defuse(tokenizer, assistant)})
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=assistant is None))


def _defuse(tokenizer: Any, text: str) -> str:
    """Do as `inert` to the special tokens of this very tokenizer, whatever they look like."""
    for token in _special_tokens(tokenizer):
        if token in text:
            text = text.replace(token, f"{token[0]}\u2060{token[1:]}")
    return text


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(token for token in added.union(tokenizer.all_special_tokens) if len(token) > 1))


def _encode(tokenizer: Any, text: str) -> list[int]:
    # The template has written every special token already.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
