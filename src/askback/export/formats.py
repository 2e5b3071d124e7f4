"""The shapes that training tools read. Each keeps the provenance columns beside the pair."""

from typing import Any

from askback.errors import InputError
from askback.records import Example

OWN = ("id", "origin", "score", "quality")
PROVENANCE = (*OWN, "uri", "source", "licence", "language", "title", "date")


def messages(pair: Example) -> dict[str, Any]:
    """Return {messages: [user, assistant, …]}, read by TRL, Axolotl and OpenAI-style trainers."""
    return {"messages": [{"role": one.role, "content": one.content} for one in pair.messages]}


SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def sharegpt(pair: Example) -> dict[str, Any]:
    """Return {conversations: [human, gpt, …]}, read by LLaMA-Factory and Axolotl."""
    return {"conversations": [{"from": SPEAKERS[one.role], "value": one.content} for one in pair.messages]}


def alpaca(pair: Example) -> dict[str, Any]:
    """Return {instruction, input, output}; `input` is always empty.

    Raises:
        InputError: the conversation has more than one exchange.
    """
    if len(pair.messages) != 2:
        raise InputError(f"--format alpaca: holds one exchange, and {pair.id} has more; take --format messages")
    return {"instruction": pair.instruction, "input": "", "output": pair.output}


def prompt_completion(pair: Example) -> dict[str, Any]:
    """Return {prompt: [user, …], completion: [assistant]}, TRL's form with the loss on the completion only."""
    *asked, answer = messages(pair)["messages"]
    return {"prompt": asked, "completion": [answer]}


def provenance(pair: Example) -> dict[str, Any]:
    """Return where a pair comes from."""
    return {name: getattr(pair if name in OWN else pair.provenance, name) for name in PROVENANCE}
