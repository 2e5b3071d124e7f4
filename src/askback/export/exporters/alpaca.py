"""Alpaca's columns."""

from typing import Any

from askback.errors import InputError
from askback.export.exporters import Exporter
from askback.records import Example


def alpaca(pair: Example) -> dict[str, Any]:
    """Return {instruction, input, output}; `input` is always empty.

    Raises:
        InputError: the conversation has more than one exchange.
    """
    if len(pair.messages) != 2:
        raise InputError(f"--format alpaca: holds one exchange, and {pair.id} has more; take --format messages")
    return {"instruction": pair.instruction, "input": "", "output": pair.output}


EXPORTER = Exporter(
    alpaca,
    {"instruction": (), "input": (), "output": ()},
    as_pair=('row["instruction"]', 'row["output"]'),
    axolotl={"type": "alpaca"},
    llama_factory={
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    },
)
