"""OpenAssistant by the paper's rule (method.md 1.3): the human-written, best-ranked reply to a root prompt, nothing else.

Every assistant message counts as one record: it is kept as the answer of a pair, or rejected with the rule it fails.
There is no quality threshold: the paper has none, and a replication's rule kept later turns without their context.
"""

from collections.abc import Iterator
from typing import Any

from askback.inputs.rows import BrokenRow, Rows
from askback.records import Rejection, reject
from askback.seed.readers import Pair
from askback.seed.readers.fields import STAGE, broken

LICENCE = "Apache-2.0"


def read_messages(rows: Rows, language: str, best_only: bool = True) -> Iterator[Pair | Rejection]:
    """Read flat messages {message_id, parent_id, role, text, lang, rank, synthetic, deleted}.

    A prompt may come after its replies in the file, so replies are read last. Without `best_only`, lower-ranked replies
    are pairs too, with their rank.
    """
    roots: dict[str, dict[str, Any]] = {}
    replies: list[tuple[str, dict[str, Any]]] = []
    for where, row in rows:
        if isinstance(row, BrokenRow):
            yield broken(where, str(row))
        elif not isinstance(row.get("text"), str) or row.get("role") not in ("prompter", "assistant"):
            yield broken(
                where, f"expected 'text' and 'role' (prompter, assistant); found keys {', '.join(map(str, row))}"
            )
        elif row["role"] == "assistant":
            replies.append((where, row))
        elif row.get("parent_id") is None:
            roots[str(row.get("message_id"))] = row
    for where, reply in replies:
        yield _pair(where, roots.get(str(reply.get("parent_id"))), reply, language, best_only)


def read_trees(rows: Rows, language: str, best_only: bool = True) -> Iterator[Pair | Rejection]:
    """Read nested trees {prompt: {text, …, replies: […]}}; `best_only` as in `read_messages`."""
    for where, row in rows:
        if isinstance(row, BrokenRow):
            yield broken(where, str(row))
            continue
        prompt = row.get("prompt")
        if not isinstance(prompt, dict) or not isinstance(prompt.get("text"), str):
            yield broken(where, f"expected a tree with 'prompt'; found keys {', '.join(map(str, row))}")
            continue
        for root, reply in _replies(prompt):
            if isinstance(reply.get("text"), str):
                yield _pair(where, root, reply, language, best_only)
            else:
                yield broken(where, f"reply {reply.get('message_id')} has no text")


def _replies(prompt: dict[str, Any]) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Yield (the root if this answers it, assistant message) for every assistant message of a tree, however deep."""
    stack = [(prompt, reply) for reply in reversed(_children(prompt))]
    while stack:
        parent, message = stack.pop()
        if message.get("role") == "assistant":
            yield (prompt if parent is prompt else None), message
        stack += [(message, reply) for reply in reversed(_children(message))]


def _children(message: dict[str, Any]) -> list[dict[str, Any]]:
    replies = message.get("replies") or []
    return [reply for reply in replies if isinstance(reply, dict)] if isinstance(replies, list) else []


def _pair(
    where: str, root: dict[str, Any] | None, reply: dict[str, Any], language: str, best_only: bool
) -> Pair | Rejection:
    """Return the pair, or the first rule it fails."""
    uri = f"oasst:{reply.get('message_id', where)}"

    def drop(rule: str, detail: str = "") -> Rejection:
        return reject(str(reply.get("message_id", where)), STAGE, rule, detail, uri=uri, text=reply["text"])

    if root is None:
        return drop("not-first-turn")
    for message in (root, reply):
        if message.get("deleted"):
            return drop("deleted")
        if message.get("synthetic") or message.get("model_name"):
            return drop("not-human", f"written by {message.get('model_name') or 'a model'}")
        if language and message.get("lang") != language:
            return drop("language", f"found {message.get('lang')!r}, wanted {language!r}")
    rank = reply.get("rank")
    if rank != 0 and (best_only or not isinstance(rank, int)):
        return drop("not-best", f"rank {rank}, wanted 0")
    return Pair(uri, root["text"], reply["text"], LICENCE, str(reply.get("lang") or ""), rank or 0)
