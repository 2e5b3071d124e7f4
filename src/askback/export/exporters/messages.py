"""Turns as chat APIs have them, for TRL, Axolotl and OpenAI-style trainers."""

from typing import Any

from askback.export.exporters import Exporter
from askback.records import Example


def messages(pair: Example) -> dict[str, Any]:
    """Return {messages: [user, assistant, …]}, read by TRL, Axolotl and OpenAI-style trainers."""
    return {"messages": [{"role": one.role, "content": one.content} for one in pair.messages]}


EXPORTER = Exporter(
    messages,
    {"messages": ("role", "content")},
    as_pair=('row["messages"][0]["content"]', 'row["messages"][1]["content"]'),
    axolotl={"type": "chat_template", "field_messages": "messages"},
    llama_factory={
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    },
)
