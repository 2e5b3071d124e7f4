"""Turns as ShareGPT has them, for LLaMA-Factory and Axolotl."""

from typing import Any

from askback.export.exporters import Exporter
from askback.records import Example

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def sharegpt(pair: Example) -> dict[str, Any]:
    """Return {conversations: [human, gpt, …]}, read by LLaMA-Factory and Axolotl."""
    return {"conversations": [{"from": SPEAKERS[one.role], "value": one.content} for one in pair.messages]}


EXPORTER = Exporter(
    sharegpt,
    {"conversations": ("from", "value")},
    as_pair=('row["conversations"][0]["value"]', 'row["conversations"][1]["value"]'),
    axolotl={
        "type": "chat_template",
        "field_messages": "conversations",
        "message_property_mappings": {"role": "from", "content": "value"},
    },
    llama_factory={"formatting": "sharegpt", "columns": {"messages": "conversations"}},
)
