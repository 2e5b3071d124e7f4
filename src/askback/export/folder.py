"""Write the export folder: the data, a card that says what it is and whose, and checksums."""

import csv
import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from askback.errors import InputError
from askback.execution.shards import Records
from askback.export.card import card
from askback.export.formats import provenance
from askback.lookup import lookup
from askback.records import Example
from askback.report.read import chosen

FORMATS = {
    "messages": "askback.export.formats:messages",
    "sharegpt": "askback.export.formats:sharegpt",
    "alpaca": "askback.export.formats:alpaca",
    "prompt-completion": "askback.export.formats:prompt_completion",
}


CHECKSUMS = "checksums.txt"
"""Also tells that a folder is an export, and may be replaced by another."""


def export(run: Path, out: Path, format: str = "messages", file_type: str = "parquet", with_seed: bool = False) -> int:
    """Write the result's chosen pairs (`report.read.chosen`) to `out`, a folder that ``datasets.load_dataset(out)`` reads.

    Args:
        with_seed: add the seed pairs that were trained on.

    Returns:
        The number of pairs.

    Raises:
        InputError: nothing is selected yet, or `out` holds something that is no export.
        RecipeError: there is no such format.
    """
    shape: Callable[[Example], dict[str, Any]] = lookup(FORMATS, format, "export format")
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / CHECKSUMS).exists()):
        raise InputError(f"{out}: already holds something that is no export. Give an empty or new folder with --out.")
    pairs = sorted(chosen(run), key=lambda pair: pair.id)
    if with_seed:
        pairs += [pair for pair in Records(run / "seed", "") if pair.split == "train"]
    # Made beside it and put in its place whole, so that a kill leaves the export that was there, or none.
    made = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    data = made / f"train.{file_type}"
    _write(data, [{**shape(pair), **provenance(pair)} for pair in pairs])
    (made / "licences.csv").write_text(_licences(pairs), "utf-8")
    (made / "README.md").write_text(card(run, pairs, format, data.name), "utf-8")
    names = [data.name, "licences.csv", "README.md"]
    sums = [f"{hashlib.sha256((made / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (made / CHECKSUMS).write_text("".join(sums), "utf-8")
    shutil.rmtree(out, ignore_errors=True)
    made.rename(out)
    return len(pairs)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")


def _licences(pairs: list[Example]) -> str:
    """Return one line per source and licence, with the number of pairs: the attribution file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["licence", "uri", "pairs"])
    for (licence, uri), count in sorted(Counter((pair.licence, pair.uri) for pair in pairs).items()):
        writer.writerow([licence or "not stated", uri, count])
    return text.getvalue()
