"""Conversations: turns with a role and a text, in the spellings of OpenAI, ShareGPT, ChatML, LIMA and others.

As with OpenAssistant, only the answer to a first turn is a pair. Every assistant turn counts as one record: the first is
the answer of a pair, later ones are rejected as "not-first-turn".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from askback.inputs.json_values import as_text, filled, kind, read_value
from askback.inputs.rows import BrokenRow, Rows
from askback.records import Rejection
from askback.seed.readers import Pair
from askback.seed.readers.fields import ATTACHED, broken, instructed, refused, system_of, unusable

TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog")
"""Fields that may hold a row's turns."""
_ROLES = {
    "user": "user human prompter customer client question q usr instruction",
    "assistant": "assistant gpt chatgpt bot chatbot bing bard claude gemini model ai answer a output",
    "system": "system developer sys",
    "tool": "tool function observation functioncall functionresponse toolcall toolresponse toolresult ipython",
}
ROLES = {spelling: role for role, spellings in _ROLES.items() for spelling in spellings.split()}
_ROLE_KEYS, _TEXT_KEYS = ("role", "from", "speaker", "author"), ("content", "value", "text", "message")
_BOTH = (
    ("human", "assistant"),
    ("user", "assistant"),
    ("input", "output"),
    ("prompt", "response"),
    ("question", "answer"),
)
"""Pairs of fields in which one item of a list holds a question and its answer."""
_CALLS = ("tool_calls", "function_call")
_MARKED = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):[ \t]*")
"""Anthropic's markers of turns within a text."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn; `rule` and `why` are the reason that it cannot be part of a pair, "" if it can."""

    role: str
    text: str
    rule: str = ""
    why: str = ""


def read_conversations(rows: Rows, language: str) -> Iterator[Pair | Rejection]:
    """Read rows with turns under `messages` or `conversations`: lists of objects or of plain strings, the user's first."""
    for where, row in rows:
        if isinstance(row, BrokenRow):
            yield broken(where, str(row))
        elif not any(name in row for name in TURNS):
            found = ", ".join(row)[:200]
            why = f"expected a list under 'messages' or 'conversations', found keys {found}; set format: pairs for columns"
            yield broken(where, why)
        else:
            yield from conversation(where, row)


def conversation(where: str, row: Mapping[str, Any]) -> Iterator[Pair | Rejection]:
    """Yield the first answer of a row with turns as a pair, and later ones as rejections."""
    given = [name for name in TURNS if name in row]
    name = next((name for name in given if filled(row[name])), given[0])
    try:
        turns = turns_of(row[name])
    except ValueError as error:
        yield broken(where, f"'{name}' {error}")
        return
    yield from answers(where, turns, row)


def answers(where: str, turns: list[Turn], row: Mapping[str, Any]) -> Iterator[Pair | Rejection]:
    """Yield the pair of the first user turn and its answer, and a rejection for every later answer."""
    spoken = [turn for turn in turns if turn.role != "system"]
    before = takewhile(lambda turn: turn.role != "assistant", turns)
    system = "\n\n".join([system_of(row), *(turn.text for turn in before if turn.role == "system")]).strip()
    if [turn.role for turn in spoken[:2]] not in (["user", "assistant"], ["user", "tool"]):
        found = ", ".join(turn.role for turn in spoken[:4]) or "no turn"
        yield broken(where, f"expected a user turn and its answer first, found {found}")
        return
    fault = next((turn for turn in spoken[:2] if turn.rule), None)
    instruction = instructed(system, spoken[0].text)
    if refusal := unusable(where, row):
        yield refusal
    elif fault or spoken[1].role == "tool":
        rule, why = (fault.rule, fault.why) if fault else ("tool-turn", "the answer stands on what a tool returned")
        yield refused(where, rule, why, spoken[0].text)
    else:
        about = str(row.get("licence") or row.get("license") or ""), str(row.get("language") or "")
        yield Pair(where, instruction, spoken[1].text, *about)
    for number, turn in enumerate(spoken[2:], 1):
        if turn.role == "assistant" and spoken[1].role == "assistant":
            yield refused(where, "not-first-turn", f"answers turn {number + 1} of the conversation", turn.text, number)


def turns_of(value: object) -> list[Turn]:
    """Return the turns that a field holds.

    Raises:
        ValueError: it holds none; the message follows the name of the field.
    """
    if isinstance(value, str):
        if marked := marked_turns(value):
            return marked
        try:
            value = read_value(value)
        except (ValueError, RecursionError):
            raise ValueError("holds text, not a list") from None
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        value = [dict(zip(value, turn, strict=False)) for turn in zip(*value.values(), strict=False)]
    if not isinstance(value, list):
        raise ValueError(f"holds {kind(value)}, not a list")
    if value and all(isinstance(turn, str) for turn in value):
        if len(value) < 2:
            raise ValueError("holds one text, and no answer to it")
        return [Turn(("user", "assistant")[at % 2], turn) for at, turn in enumerate(value)]
    turns: list[Turn] = []
    for item in value:
        try:
            turns += _turns(item)
        except ValueError:
            if not any(turn.role == "assistant" for turn in turns):
                raise
            turns.append(Turn("unknown", ""))  # after the first answer a turn does not matter
    return turns


def _turns(item: object) -> list[Turn]:
    """Return the turn, or the question and its answer, in one item of a list."""
    if isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item):
        return [Turn("user", item[0]), Turn("assistant", item[1])]
    if not isinstance(item, dict):
        raise ValueError(f"holds {kind(item)} where a turn is expected: {str(item)[:80]!r}")
    role_key = next((key for key in _ROLE_KEYS if key in item), None)
    for asked, answered in _BOTH if role_key is None else ():
        if isinstance(item.get(asked), str) and isinstance(item.get(answered), str):
            before = [Turn("system", as_text(item["system"]))] if filled(item.get("system")) else []
            return [*before, Turn("user", item[asked]), Turn("assistant", item[answered])]
    given = item.get(role_key) if role_key else None
    given = given.get("role") if isinstance(given, dict) else given
    role = ROLES.get(re.sub(r"[^a-z]", "", str(given).lower()).removeprefix("imstart"))
    text_key = next((key for key in _TEXT_KEYS if key in item), None)
    if role is None or (text_key is None and not any(filled(item.get(name)) for name in _CALLS)):
        raise ValueError(f"holds a turn without a role (user, assistant, system, tool) and a text: {str(item)[:80]!r}")
    return [_turn(role, item, item.get(text_key) if text_key else None)]


def _turn(role: str, item: dict[str, Any], content: object) -> Turn:
    """Return a turn, with the reason in its other fields that it cannot be part of a pair."""
    texts, others = _parts(content)
    text = "\n\n".join(texts)
    if any(filled(item.get(name)) for name in _CALLS):
        return Turn(role, text, "tool-turn", "the answer calls a tool")
    attached = others or [name for name in ATTACHED if filled(item.get(name))]
    if attached:
        return Turn(role, text, "attachment", f"a turn has '{attached[0]}', which a pair of texts would lose")
    if role == "assistant" and item.get("weight") == 0:
        return Turn(role, text, "no-weight", "the answer has weight 0: it is not to be learnt")
    return Turn(role, text)


def _parts(content: object) -> tuple[list[str], list[str]]:
    """Return the texts in a turn's content, and the kinds of its other parts.

    Raises:
        ValueError: the content is neither text nor a list of parts.
    """
    if content is None:
        return [""], []
    if isinstance(content, str):
        return [content], []
    parts = content.get("parts") if isinstance(content, dict) else content
    if not isinstance(parts, list):
        raise ValueError(f"holds a turn whose text is {kind(content)}: {str(content)[:80]!r}")
    texts, others = [], []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        else:
            others.append(str(part.get("type", "a part")) if isinstance(part, dict) else kind(part))
    return texts, others


def marked_turns(text: str) -> list[Turn]:
    """Return the turns of a text with Anthropic's markers, "\\n\\nHuman:" and "\\n\\nAssistant:"; none without."""
    before, *parts = _MARKED.split(text)
    if before.strip() or len(parts) < 4:
        return []
    return [
        Turn(ROLES[role.lower()], words.strip())
        for role, words in zip(parts[::2], parts[1::2], strict=True)
        if words.strip()
    ]
