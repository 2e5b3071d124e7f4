"""Write the export folder: the data, a card that says what it is and whose, and checksums."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from askback.errors import InputError
from askback.execution.shards import Records, atomic
from askback.export.card import card
from askback.lookup import lookup
from askback.records import Example
from askback.report.read import chosen

FORMATS = {
    "messages": "askback.export.formats:messages",
    "sharegpt": "askback.export.formats:sharegpt",
    "alpaca": "askback.export.formats:alpaca",
    "prompt-completion": "askback.export.formats:prompt_completion",
}


def export(run: Path, out: Path, format: str = "messages", file_type: str = "parquet", with_seed: bool = False) -> int:
    """Write the last round's chosen pairs to `out`, a folder that ``datasets.load_dataset(out)`` reads.

    Args:
        with_seed: add the seed pairs that were trained on.

    Returns:
        The number of pairs.

    Raises:
        InputError: nothing is selected yet, or `out` holds something that is no export.
        RecipeError: there is no such format.
    """
    shape: Callable[[Example], dict[str, Any]] = lookup(FORMATS, format, "export format")
    if out.exists() and any(out.iterdir()) and not (out / "checksums.txt").exists():
        raise InputError(f"{out}: already holds something that is no export. Give an empty or new folder with --out.")
    from askback.export.formats import provenance

    pairs = sorted(chosen(run), key=lambda pair: pair.id)
    if with_seed:
        pairs += [pair for pair in Records(run / "seed", "") if pair.split == "train"]
    rows = [{**shape(pair), **provenance(pair)} for pair in pairs]
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("train.*"), out / "checksums.txt"]:
        old.unlink(missing_ok=True)
    data = out / f"train.{file_type}"
    _write(data, rows)
    _write_text(out / "licences.csv", _licences(pairs))
    _write_text(out / "README.md", card(run, pairs, format, data.name))
    names = [data.name, "licences.csv", "README.md"]
    sums = [f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    _write_text(out / "checksums.txt", "".join(sums))
    return len(pairs)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        _write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd")


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")


def _licences(pairs: list[Example]) -> str:
    """Return one line per source and licence, with the number of pairs: the attribution file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["licence", "uri", "pairs"])
    for (licence, uri), count in sorted(Counter((pair.licence, pair.uri) for pair in pairs).items()):
        writer.writerow([licence or "not stated", uri, count])
    return text.getvalue()
