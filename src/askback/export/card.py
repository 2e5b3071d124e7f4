"""The data card: what the data is, how it was made, whose it is, and what it is not."""

from collections import Counter
from pathlib import Path

import yaml

from askback.records import Example
from askback.report.read import funnel, lengths, losses

SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]


def card(run: Path, pairs: list[Example], format: str, file: str) -> str:
    """Return the README.md of an export folder: YAML that the hub and `datasets` read, then text for people."""
    head = {
        "language": sorted({pair.language for pair in pairs if pair.language}),
        "license": "other",
        "license_details": "per record, in the column `licence`; listed in licences.csv",
        "task_categories": ["text-generation"],
        "tags": ["instruction-backtranslation", "askback"],
        "size_categories": [next((name for limit, name in SIZES if len(pairs) < limit), "n>1M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": file}]}],
    }
    origins = Counter(pair.origin for pair in pairs)
    licences = Counter(pair.licence or "not stated" for pair in pairs)
    rows = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n",
        f"# {_plain(run.name)}\n",
        f"{len(pairs):,} instruction-output pairs ({', '.join(f'{n:,} {origin}' for origin, n in origins.items())}), "
        f"in {format} form, made by instruction backtranslation with askback. The outputs are human-written text, "
        "unchanged; the instructions of augmented pairs were written by a backward model and chosen by a forward model, "
        "both trained from the base model in the recipe below.\n",
        "## How it was made\n",
        "| step | records | in | kept | rejected | failed |\n| --- | --- | ---: | ---: | ---: | ---: |",
        *(f"| {s.step} | {s.name} | {s.entered:,} | {s.kept:,} | {s.rejected:,} | {s.failed:,} |" for s in funnel(run)),
        "\n| set | pairs | instruction, characters | output, characters |\n| --- | ---: | ---: | ---: |",
        *(
            f"| {row.name} | {row.pairs:,} | {row.instruction_mean:.0f} ± {row.instruction_sd:.0f} "
            f"| {row.output_mean:.0f} ± {row.output_sd:.0f} |"
            for row in lengths(run)
        ),
        "\n| model | held-out loss, nats per token |\n| --- | ---: |",
        *(f"| {model} | {metrics['loss']:.4f} |" for model, metrics in losses(run).items()),
        "\n## Licences\n",
        "Each record names its source (`uri`) and licence; `licences.csv` lists them all.\n",
        "| licence | pairs |\n| --- | ---: |",
        *(f"| {_plain(licence)} | {n:,} |" for licence, n in licences.most_common()),
        "\n## Known limits\n",
        "- Facts in the outputs are as right as their sources, and were not checked.",
        "- An instruction may ask for less, or for more, than its output gives; `score` is the judge's opinion of that.",
        "- A licence is what the source states about itself.\n",
        "## Recipe\n",
        f"```yaml\n{(run / 'recipe.yaml').read_text('utf-8').strip()}\n```",
    ]
    return "\n".join(rows) + "\n"


def _plain(text: str) -> str:
    """Take the power from text that goes into a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")[:120]
