"""Pairs as columns: {instruction, output}, Alpaca's {instruction, input, output}, and the other names that people use."""

from collections.abc import Iterator, Mapping
from typing import Any

from askback.inputs.json_values import as_text, filled, kind
from askback.inputs.rows import BrokenRow, Rows
from askback.records import Rejection
from askback.seed.readers import Pair, Reader
from askback.seed.readers.conversations import TURNS, Turn, answers, conversation, marked_turns, turns_of
from askback.seed.readers.fields import broken, instructed, refused, system_of, unusable

ASKED = ("instruction", "prompt", "question", "query", "input", "inputs", "human", "user")
ANSWERED = ("output", "response", "completion", "answer", "target", "targets", "assistant", "gpt")
"""Fields of a row's instruction and of its output; the first that is there counts."""
MORE = ("input", "context")
"""Fields whose text follows the instruction after a blank line."""


def read_pairs(rows: Rows, language: str) -> Iterator[Pair | Rejection]:
    """Read rows that hold a pair in columns, or in each of their `instances`, or turns, recognised by their fields.

    A row's `licence` and `language` are kept. A non-empty `input` or `context` follows the instruction after a blank line,
    as JSON where it is no text; a system text precedes it.
    """
    for where, row in rows:
        if isinstance(row, BrokenRow):
            yield broken(where, str(row))
        elif why := _other_format(row):
            yield broken(where, why)
        else:
            for one in _instances({str(name).lower(): value for name, value in row.items()}):
                yield from _read(where, one)


def _instances(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each of the `instances` of a task of Self-Instruct, or the row itself."""
    found = row.get("instances")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        return [row]
    return [{**{name: row[name] for name in row if name != "instances"}, **one} for one in found]


def _read(where: str, row: dict[str, Any]) -> Iterator[Pair | Rejection]:
    asked = next((name for name in ASKED if name in row), None)
    answered = next((name for name in ANSWERED if name in row), None)
    if any(filled(row.get(name)) for name in TURNS) or (not answered and any(name in row for name in TURNS)):
        yield from conversation(where, row)
        return
    turns = _completed(row[asked], row[answered]) if asked and answered else marked_turns(str(row.get("text") or ""))
    if answered and sum(turn.role == "assistant" for turn in turns) > 1:
        yield refused(where, "not-first-turn", f"earlier turns under '{asked}'")
    elif turns:
        yield from answers(where, turns, row)
    else:
        yield unusable(where, row) or _columns(where, row, asked, answered)


def _completed(prompt: object, completion: object) -> list[Turn]:
    """Return the turns of a prompt that is itself a list of turns, or a text that marks them, and its completion."""
    if isinstance(prompt, str) and prompt.rstrip().endswith("Assistant:"):
        return marked_turns(f"{prompt.rstrip()} {completion}") if isinstance(completion, str) else []
    if not isinstance(prompt, list):
        return []
    try:
        end = turns_of(completion) if isinstance(completion, list) else [Turn("assistant", str(completion))]
        return [*turns_of(prompt), *end]
    except ValueError:
        return []


def _columns(where: str, row: Mapping[str, Any], asked: str | None, answered: str | None) -> Pair | Rejection:
    """Return the pair of a row's columns."""
    for name, wanted in ((asked, ASKED), (answered, ANSWERED)):
        if name is None:
            names = f"'{wanted[0]}' (or {', '.join(wanted[1:4])})"
            return broken(where, f"expected text under {names}, found keys {', '.join(row)[:200]}")
        if not isinstance(row[name], str):
            return broken(where, f"'{name}' holds {kind(row[name])}, not text")
    assert asked and answered
    instruction = row[asked].strip()
    for name in ("prompt", "question", "query"):
        other = as_text(row.get(name)) if name != asked else ""
        if other and other not in instruction and instruction not in other:
            why = f"'{asked}' and '{name}' both ask; leave the instruction under one of them"
            return refused(where, "two-instructions", why, instruction)
    more = [text for name in MORE if name != asked and (text := as_text(row.get(name)))]
    instruction = "\n\n".join(part for part in (instruction, *more) if part)
    licence, language = str(row.get("licence") or row.get("license") or ""), str(row.get("language") or "")
    return Pair(where, instructed(system_of(row), instruction), row[answered], licence, language)


def _other_format(row: Mapping[str, Any]) -> str:
    """Return the other format that a row is recognised to have, "" if none."""
    if "parent_id" in row and "role" in row and "text" in row:
        return "an OpenAssistant message; set format: oasst-messages"
    if isinstance(row.get("prompt"), dict) and "replies" in row["prompt"]:
        return "an OpenAssistant tree; set format: oasst-trees"
    if "chosen" in row and "rejected" in row and not any(name in row for name in ANSWERED):
        return (
            "a preference ('chosen', 'rejected'), which is no pair; write the answers that are to be learnt as 'output'"
        )
    return ""


READER = Reader(read_pairs)
