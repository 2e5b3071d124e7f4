"""TRL's form of preferences: a rewrite is chosen, the text that it was made from rejected."""

from typing import Any

from askback.errors import InputError
from askback.export.exporters import Exporter
from askback.export.exporters.messages import messages
from askback.records import Example


def preference(pair: Example) -> dict[str, Any]:
    """Return {prompt: [user, …], chosen: [assistant], rejected: [assistant]}.

    Raises:
        InputError: the pair's output is no rewrite.
    """
    if not pair.original:
        raise InputError(f"--format preference: {pair.id} is no rewrite, and there is no other answer to it")
    *asked, answer = messages(pair)["messages"]
    return {"prompt": asked, "chosen": [answer], "rejected": [{"role": "assistant", "content": pair.original}]}


TURN = ("role", "content")
EXPORTER = Exporter(preference, {"prompt": TURN, "chosen": TURN, "rejected": TURN}, trainer="DPO")
