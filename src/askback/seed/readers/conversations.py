"""Conversations: OpenAI-style messages, and ShareGPT's from/value turns. Only a first turn stands on its own."""

from collections.abc import Iterator
from typing import Any

from askback.records import Rejection
from askback.rows import BrokenRow, Rows
from askback.seed.readers import Pair
from askback.seed.readers.pairs import broken


def read_messages(rows: Rows, language: str) -> Iterator[Pair | Rejection]:
    """Read {messages: [{role, content}, …]} rows (also {prompt, completion} as messages is not read here)."""
    yield from _read(rows, ("messages", "conversations"), "role", "content")


def read_sharegpt(rows: Rows, language: str) -> Iterator[Pair | Rejection]:
    """Read {conversations: [{from, value}, …]} rows, or LIMA's of plain strings, the user's first."""
    yield from _read(rows, ("conversations", "conversation"), "from", "value")


_ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "system": "system",
}


def _read(rows: Rows, keys: tuple[str, ...], role_key: str, text_key: str) -> Iterator[Pair | Rejection]:
    for where, row in rows:
        if isinstance(row, BrokenRow):
            yield broken(where, str(row))
            continue
        turns = next((row[key] for key in keys if isinstance(row.get(key), list)), None)
        if turns is None:
            yield broken(where, f"expected a list under '{keys[0]}', found keys {', '.join(map(str, row))}")
            continue
        yield _first_turn(where, turns, role_key, text_key)


def _first_turn(where: str, turns: list[Any], role_key: str, text_key: str) -> Pair | Rejection:
    """Return the first user turn and the answer to it; a system turn before it is left out."""
    if len(turns) > 1 and all(isinstance(turn, str) for turn in turns):
        return Pair(where, turns[0], turns[1])
    said = []
    for turn in turns:
        role = _ROLES.get(str(turn.get(role_key)).lower()) if isinstance(turn, dict) else None
        if role is None or not isinstance(turn.get(text_key), str):
            return broken(
                where,
                f"expected turns of '{role_key}' (user, assistant, system) and a string '{text_key}'; "
                f"found {str(turn)[:80]!r}",
            )
        if role != "system":
            said.append((role, turn[text_key]))
        if len(said) == 2:
            break
    if [role for role, _ in said] != ["user", "assistant"]:
        return broken(
            where,
            f"expected a user turn and its answer first; found {', '.join(role for role, _ in said) or 'no turn'}",
        )
    return Pair(where, said[0][1], said[1][1])
