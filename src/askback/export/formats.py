"""The shapes that training tools read. Each keeps the provenance columns beside the pair."""

from typing import Any

from askback.records import Example

PROVENANCE = ("id", "origin", "score", "quality", "uri", "source", "licence", "language")


def messages(pair: Example) -> dict[str, Any]:
    """Return {messages: [user, assistant]}, read by TRL, Axolotl and OpenAI-style trainers."""
    return {
        "messages": [
            {"role": "user", "content": pair.instruction},
            {"role": "assistant", "content": pair.output},
        ]
    }


def sharegpt(pair: Example) -> dict[str, Any]:
    """Return {conversations: [human, gpt]}, read by LLaMA-Factory and Axolotl."""
    return {"conversations": [{"from": "human", "value": pair.instruction}, {"from": "gpt", "value": pair.output}]}


def alpaca(pair: Example) -> dict[str, Any]:
    """Return {instruction, input, output}; `input` is always empty."""
    return {"instruction": pair.instruction, "input": "", "output": pair.output}


def prompt_completion(pair: Example) -> dict[str, Any]:
    """Return {prompt: [user], completion: [assistant]}, TRL's form with the loss on the completion only."""
    user, assistant = messages(pair)["messages"]
    return {"prompt": [user], "completion": [assistant]}


def provenance(pair: Example) -> dict[str, Any]:
    """Return where a pair comes from."""
    return {name: getattr(pair, name) for name in PROVENANCE}
