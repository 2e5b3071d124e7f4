"""TRL's own form, with the loss on the completion only."""

from typing import Any

from askback.export.exporters import Exporter
from askback.export.exporters.messages import messages
from askback.records import Example


def prompt_completion(pair: Example) -> dict[str, Any]:
    """Return {prompt: [user, …], completion: [assistant]}, TRL's form with the loss on the completion only."""
    *asked, answer = messages(pair)["messages"]
    return {"prompt": asked, "completion": [answer]}


EXPORTER = Exporter(prompt_completion, {"prompt": ("role", "content"), "completion": ("role", "content")})
