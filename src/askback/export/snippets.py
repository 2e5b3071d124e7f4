"""What to write to train on an export with the field's tools; the file's columns are named as each of them wants."""

import json
from pathlib import Path

from askback.export.exporters import exporter

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
    pair = exporter(format).as_pair
    as_pairs = AS_PAIRS.format(user=pair[0], assistant=pair[1]) if pair else ""
    return TRL.format(folder=str(folder), base=base, as_pairs=as_pairs)


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
