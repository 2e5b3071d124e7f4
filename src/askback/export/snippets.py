"""Programs and configurations that train on an export with TRL, Axolotl and LLaMA-Factory."""

import json
from pathlib import Path

from askback.export.exporters import exporter

TRL = """\
from datasets import load_dataset
from trl import {trainer}Config, {trainer}Trainer

data = load_dataset({folder!r}, split="train"){as_pairs}
trainer = {trainer}Trainer(model={base!r}, args={trainer}Config(output_dir="trained"), train_dataset=data)
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
"""Converts rows to the form in which TRL's loss is on the completion alone, with any chat template."""


def snippets(format: str, folder: Path, file: str, base: str) -> str:
    """Return Markdown with what TRL, Axolotl and LLaMA-Factory need to train on the export."""
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
    """Return a Python program that trains with TRL, with the loss on the answers alone, or on their preference."""
    pair = exporter(format).as_pair
    as_pairs = AS_PAIRS.format(user=pair[0], assistant=pair[1]) if pair else ""
    return TRL.format(folder=str(folder), base=base, as_pairs=as_pairs, trainer=exporter(format).trainer)


def axolotl(format: str, folder: Path, file: str) -> str:
    """Return an entry of Axolotl's configuration, "" where it cannot read the format."""
    import yaml

    known = exporter(format).axolotl
    if known is None:
        return ""
    suffix = Path(file).suffix.lstrip(".")
    entry = {"path": str(folder / file), "ds_type": {"jsonl": "json"}.get(suffix, suffix), **known}
    return str(yaml.safe_dump({"datasets": [entry]}, sort_keys=False))


def dataset_info(format: str, file: str) -> str:
    """Return LLaMA-Factory's dataset_info.json, "" where it cannot read the format."""
    known = exporter(format).llama_factory
    if known is None:
        return ""
    return json.dumps({"askback": {"file_name": file, **known}}, indent=2) + "\n"
