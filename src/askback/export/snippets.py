"""What to write to train on an export with the field's tools; the file's columns are named as each of them wants."""

import json
from pathlib import Path
from typing import Any

TRL = """\
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

data = load_dataset({folder!r}, split="train"){as_pairs}
trainer = SFTTrainer(model={base!r}, args=SFTConfig(output_dir="trained"), train_dataset=data)
trainer.train()
"""
AS_PAIRS = """
data = data.map(
    lambda row: {{
        "prompt": [{{"role": "user", "content": {user}}}],
        "completion": [{{"role": "assistant", "content": {assistant}}}],
    }},
    remove_columns=data.column_names,
)"""
"""TRL's loss is on the completion alone in this form, whatever the chat template."""
TURNS = {
    "messages": ('row["messages"][0]["content"]', 'row["messages"][1]["content"]'),
    "sharegpt": ('row["conversations"][0]["value"]', 'row["conversations"][1]["value"]'),
    "alpaca": ('row["instruction"]', 'row["output"]'),
}
"""Where each format has the instruction and the output; `prompt-completion` is TRL's own."""

AXOLOTL: dict[str, dict[str, Any]] = {
    "messages": {"type": "chat_template", "field_messages": "messages"},
    "sharegpt": {
        "type": "chat_template",
        "field_messages": "conversations",
        "message_property_mappings": {"role": "from", "content": "value"},
    },
    "alpaca": {"type": "alpaca"},
}
"""An entry of Axolotl's `datasets`, less its path; it has none for `prompt-completion`."""

LLAMA_FACTORY: dict[str, dict[str, Any]] = {
    "messages": {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    },
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations"}},
    "alpaca": {
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    },
}
"""An entry of LLaMA-Factory's dataset_info.json, less its file; it has none for `prompt-completion`."""


def snippets(format: str, folder: Path, file: str, base: str) -> str:
    """Return Markdown that says how TRL, Axolotl and LLaMA-Factory train on the export."""
    return "\n".join(
        f"{name}:\n\n```{language}\n{text}```\n"
        for name, language, text in (
            ("TRL", "python", trl(format, folder, base)),
            ("Axolotl", "yaml", axolotl(format, folder, file)),
            (
                f"LLaMA-Factory (`dataset_dir: {folder}`, `dataset: askback`; see dataset_info.json)",
                "json",
                dataset_info(format, file),
            ),
        )
        if text
    )


def trl(format: str, folder: Path, base: str) -> str:
    """Return a Python program that trains with TRL, with the loss on the answers alone."""
    user, assistant = TURNS.get(format, ("", ""))
    as_pairs = AS_PAIRS.format(user=user, assistant=assistant) if user else ""
    return TRL.format(folder=str(folder), base=base, as_pairs=as_pairs)


def axolotl(format: str, folder: Path, file: str) -> str:
    """Return an entry of Axolotl's configuration, "" where it cannot read the format."""
    import yaml

    if format not in AXOLOTL:
        return ""
    suffix = Path(file).suffix.lstrip(".")
    entry = {"path": str(folder / file), "ds_type": {"jsonl": "json"}.get(suffix, suffix), **AXOLOTL[format]}
    return str(yaml.safe_dump({"datasets": [entry]}, sort_keys=False))


def dataset_info(format: str, file: str) -> str:
    """Return LLaMA-Factory's dataset_info.json, "" where it cannot read the format."""
    if format not in LLAMA_FACTORY:
        return ""
    return json.dumps({"askback": {"file_name": file, **LLAMA_FACTORY[format]}}, indent=2) + "\n"
