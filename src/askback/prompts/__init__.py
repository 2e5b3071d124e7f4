"""Every prompt, and the one function that renders them (`render`, in rendering.py).

Training, sampling, scoring and evaluation all go through `render`, so the prefix a model was trained on is, token by
token, the prefix it is used with. A public reproduction of the method used one template in training and another at
inference, with the tags swapped; the golden files in tests/golden hold every rendered prompt so that this cannot happen.

Text from documents is data. No text becomes a control token (encoding.py), nor does a server that renders a chat itself
find markup in it (`inert`); and the marker around it is derived from the text itself (`marker`), so no document can close
its own quotation.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from string import Template

from askback.models.chat_template import TODAY
from askback.prompts.judge_injection import FORMS, VERSION, without_numbered, without_votes
from askback.prompts.prompt import Prompt, ask
from askback.prompts.reasoning import without_reasoning
from askback.prompts.rendering import Exchange, check_template, read, render, render_exchanges, render_pair, rewrites
from askback.prompts.scaffolding import MARKUP, inert
from askback.prompts.styles import STYLES
from askback.records import Message

__all__ = [
    "STYLES",
    "Exchange",
    "check_template",
    "inert",
    "read",
    "render",
    "render_exchanges",
    "render_pair",
    "rewrites",
    "without_numbered",
    "without_reasoning",
]

SEED_TAG = "Answer in the style of an AI Assistant."
"""S_a (method.md 1.6): appended to seed instructions in training, and first at inference."""
WEB_TAG = "Answer with knowledge from web search."
"""S_w (method.md 1.6): appended to augmented instructions in training, and second at inference."""

NO_INSTRUCTION = "No instruction fits this text."
"""The answer of the model that writes instructions to a text that none fits; taught by `backward.refusals`, or asked for
in its prompt, and rejected by hygiene."""

ANSWER_START = "Score:"
"""The beginning of a judge's answer, given in the prompt; the digit follows."""

BETTER_START = "Better answer:"
"""The beginning of an answer that compares two answers, given in the prompt; A or B follows."""

REWRITTEN = ("<answer>", "</answer>")
"""What a rewrite stands between; the first is given in the prompt as the beginning of the answer."""

REPLY = "Reply with the word Score, a colon and one digit from {} to {}."
REASONED_REPLY = (
    "First give your reasons, in at most fifty words. Then write, on a line of its own, the word Score, a colon and one "
    "digit from {} to {}."
)
"""The form in which a judge has to answer; the last sentence of its prompt."""

RENDERING = 3
"""Version of rendering.py and encoding.py, part of every prompt's id."""

TAGS = {"seed": SEED_TAG, "natural": WEB_TAG, "augmented": WEB_TAG, "inference": f"{SEED_TAG} {WEB_TAG}"}
"""`Example.origin` → tag, which goes by where the output is from; "inference" is the concatenation, never seen in training,
that the paper found best."""
QUALITY_TAG = "Answer quality: {}."
"""After the tag of an augmented pair that has a quality, as in "3 of 5" (method.md 4, after HintedBT)."""


def forward(turns: Sequence[Message], origin: str, quality: str = "") -> Prompt:
    """Return the prompt that asks for the output: the turns up to it, each of the user's with the tag (method.md 1.6).

    The paper has one turn. With the tag in every one, each answer of a conversation is trained behind the prompt that
    asks for it at inference.

    Where the model was trained with `select.bins`, inference asks for the best `quality`: "5 of 5" with five.
    """
    tag = f"{TAGS[origin]} {QUALITY_TAG.format(quality)}" if quality else TAGS[origin]
    return Prompt(tuple(_tagged(turn, tag) for turn in turns))


def _tagged(turn: Message, tag: str) -> Message:
    text = turn.content.strip()
    return Message(turn.role, f"{text}\n\n{tag}" if turn.role == "user" else text)


def backward(output: str) -> Prompt:
    """Return the prompt that asks what somebody would have asked to get `output` (method.md 1.6, after Back-and-Forth).

    The seed tag ends it, as there. Departure: the output stands inside a marker.
    """
    return _fill(_text("backward"), marker(output), output=output.strip(), tag=SEED_TAG)


def writer(output: str, style: str, examples: Sequence[tuple[str, str]] = ()) -> Prompt:
    """Return the prompt that asks a model that is not trained for it what somebody would have asked to get `output`.

    In our own words, after LongForm's and MAmmoTH2's ideas (method.md 4): a style is wanted, and the model may answer that
    nobody would ask for this text.

    Args:
        examples: (instruction, output) of seed pairs.
    """
    mark = marker(output, *(text for pair in examples for text in pair))
    shown = "".join(
        f"--- text {mark}\n{text.strip()}\n--- request {mark}\n{asked.strip()}\n" for asked, text in examples
    )
    given = {"style": STYLES[style], "none": NO_INSTRUCTION, "examples": _text("examples") + shown if examples else ""}
    return _fill(_text("writer"), mark, output=output.strip(), **given)


def rubric(instruction: str, output: str, reasoning: bool = False) -> Prompt:
    """Return the prompt that asks for a rating 1 to 5 (method.md 1.7); the digit follows its answer start.

    With `reasoning` the answer begins with a reasoning. Departures: the pair stands inside a marker (the paper prints
    none), and the reasoning may be left out, so that the score is read from the probabilities of the digits at once.
    """
    return rating("rubric", (1, 5), reasoning, instruction=instruction, output=output)


_SCORE_FIRST = re.compile(r"\W*score\b", re.IGNORECASE)
_SCORE_LAST = re.compile(r"\bscore\b[^:.!?]{0,20}:\W*\d\W*(?:\d+\W*)?(?:out of\W*\d+\W*)?\Z", re.IGNORECASE)
_SPACED = re.compile(r"[^\w.!?]")


def after_reasoning(prompt: Prompt, reasoning: str) -> Prompt:
    """Return the prompt whose answer continues with the digit after the model's own reasoning.

    A score in its last line is removed, as the digit would copy it.
    """
    kept = _without_own_score(reasoning.rstrip())
    return replace(prompt, answer_start=f"{kept.strip()}\n{ANSWER_START}".lstrip())


def _without_own_score(reasoning: str) -> str:
    """Remove a last line that begins with "score", or "score", a colon and a digit ("4/5", "4.5") at its end."""
    before, _, last = reasoning.rpartition("\n")
    if _SCORE_FIRST.match(last):
        return before
    if not (found := _SCORE_LAST.search(last)):
        return reasoning
    end = found.start()
    while end and _SPACED.match(last[end - 1]):
        end -= 1
    return f"{before}\n{last[:end]}"


def rating(name: str, scale: tuple[float, float], reasoning: bool = False, words: str = "", **texts: str) -> Prompt:
    """Return the prompt `name` that asks for a rating on a scale; the digit follows its answer start.

    Args:
        reasoning: the answer begins with a reasoning.
        words: text of a prompt that is not ours, with ``$reply`` for the form of the answer.
        texts: values of its fields; sentences addressed to a judge are removed (judge_injection.py).
    """
    reply = (REASONED_REPLY if reasoning else REPLY).format(*map(int, scale))
    shown = {key: without_votes(text) for key, text in texts.items()}
    prompt = _fill(words or _text(name), marker(*shown.values()), reply=reply, **shown)
    return replace(prompt, answer_start="" if reasoning else ANSWER_START)


def pairwise(instruction: str, first: str, second: str) -> Prompt:
    """Return the prompt that asks which of two answers is the better; A or B follows its answer start.

    In our own words, after AlpacaEval's question (method.md 1.10). The answers stand inside a marker, as in `rubric`.
    """
    texts = {"instruction": instruction, "first": first, "second": second}
    shown = {key: without_votes(text) for key, text in texts.items()}
    return replace(_fill(_text("pairwise"), marker(*shown.values()), **shown), answer_start=BETTER_START)


def rewriting(instruction: str, output: str) -> Prompt:
    """Return the prompt that asks for an answer to be rewritten for its request (method.md 2.3), in our own words.

    Departures: request and draft stand inside a marker, and the answer is begun with the first of its markers.
    """
    opening, closing = REWRITTEN
    given = {"instruction": instruction.strip(), "output": output.strip(), "opening": opening, "closing": closing}
    return replace(_fill(_text("rewrite"), marker(instruction, output), **given), answer_start=opening)


def answering(instruction: str, text: str) -> Prompt:
    """Return the prompt that asks for the answer to a question from a text (method.md 3.3), in our own words.

    The text stands first, then the question, as there; departure: both are inside a marker.
    """
    return _fill(_text("answer"), marker(instruction, text), instruction=instruction.strip(), output=text.strip())


def marker(*texts: str) -> str:
    """Return a marker that `texts` cannot contain, as it is their own hash."""
    return hashlib.sha256("\x00".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _fill(words: str, mark: str, **fields: str) -> Prompt:
    filled = _form(words) % (fields | {"marker": mark})
    return ask(filled.strip())


@lru_cache
def _form(words: str) -> str:
    """Return a prompt with %-fields in place of its $-fields, which are filled faster than a `Template`."""
    text = words.replace("%", "%%")
    fields = Template(text).get_identifiers()
    return Template(text).substitute({field: f"%({field})s" for field in fields})


@lru_cache
def _text(name: str) -> str:
    return (Path(__file__).parent / f"{name}.txt").read_text("utf-8")


def prompt_id(name: str, words: str = "") -> str:
    """Return the id of a prompt: its name and a hash of all its words (see `rating`), as in ``rubric-1f0c9a2b``."""
    text = QUALITY_TAG if name == "forward" else words or _text(name)
    parts = [f"{RENDERING} {TODAY:%Y-%m-%d}", *TAGS.values(), ANSWER_START, REPLY, REASONED_REPLY, MARKUP.pattern, text]
    parts += REWRITTEN if name == "rewrite" else []
    parts += [BETTER_START] if name == "pairwise" else []
    parts += [NO_INSTRUCTION, *STYLES.values(), _text("examples")] if name == "writer" else []
    parts += [*FORMS, str(VERSION)] if name == "pairwise" or "$reply" in text else []
    return f"{name}-{_mark(tuple(parts))}"


@lru_cache
def _mark(words: tuple[str, ...]) -> str:
    return hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:8]
