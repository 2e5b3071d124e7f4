"""Write the export folder: the data, a card that says what it is and whose, and checksums."""

import csv
import hashlib
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from askback.errors import InputError
from askback.execution.shards import Records
from askback.export.card import card
from askback.export.formats import provenance
from askback.export.snippets import dataset_info
from askback.lookup import lookup
from askback.records import DRAWS, Example, draw
from askback.report.read import chosen

FORMATS = {
    "messages": "askback.export.formats:messages",
    "sharegpt": "askback.export.formats:sharegpt",
    "alpaca": "askback.export.formats:alpaca",
    "prompt-completion": "askback.export.formats:prompt_completion",
}


CHECKSUMS = "checksums.txt"
"""Also tells that a folder is an export, and may be replaced by another."""


def export(
    run: Path,
    out: Path,
    format: str = "messages",
    file_type: str = "parquet",
    with_seed: bool = False,
    validation: float = 0.0,
) -> int:
    """Write the result's chosen pairs (`report.read.chosen`) to `out`, a folder that ``datasets.load_dataset(out)`` reads.

    Args:
        with_seed: add the seed pairs that were trained on.
        validation: share of the pairs that goes into a split of its own, drawn by their ids.

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
    pairs = without_folders(pairs, run)
    files = _split(pairs, validation)
    for split, rows in files.items():
        _write(made / f"{split}.{file_type}", [{**shape(pair), **provenance(pair)} for pair in rows])
    (made / "licences.csv").write_text(_licences(pairs), "utf-8")
    (made / "README.md").write_text(
        card(run, pairs, format, out, file_type, {split: len(rows) for split, rows in files.items()}), "utf-8"
    )
    if info := dataset_info(format, f"train.{file_type}"):
        (made / "dataset_info.json").write_text(info, "utf-8")
    names = sorted(path.name for path in made.iterdir())
    sums = [f"{hashlib.sha256((made / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (made / CHECKSUMS).write_text("".join(sums), "utf-8")
    shutil.rmtree(out, ignore_errors=True)
    made.rename(out)
    return len(pairs)


def _split(pairs: list[Example], validation: float) -> dict[str, list[Example]]:
    """Return the pairs by split, both in order; a pair is in the same split whatever the others are."""
    held = {pair.id for pair in pairs if draw(0, "validation", pair.id) < validation * DRAWS}
    files = {"train": [pair for pair in pairs if pair.id not in held]}
    return files | {"validation": [pair for pair in pairs if pair.id in held]} if held else files


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")


def without_folders(pairs: list[Example], run: Path) -> list[Example]:
    """Return the pairs with their `uri` and `source` from the recipe's files on, less the folders of this machine."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text("utf-8")).get("recipe", {})
    sources = [one for room in ("seed", "corpus") for one in recipe.get(room, {}).get("sources", [])]
    paths = [re.split(r"[*?\[]", str(Path(one.get("path", "")).expanduser()))[0] for one in sources]
    folders = {f"{path.rpartition('/')[0]}/" for path in paths if path.startswith("/")} - {"/"}
    for folder in sorted(folders, key=len, reverse=True):
        pairs = [replace(one, uri=_less(folder, one.uri), source=_less(folder, one.source)) for one in pairs]
    return pairs


def _less(folder: str, name: str) -> str:
    """Return a name without the folder that it begins with, or that follows the kind of file, as in ``pairs:/home/…``."""
    kind, found, rest = name.partition(folder)
    return kind + rest if found and (not kind or kind.endswith(":")) else name


def _licences(pairs: list[Example]) -> str:
    """Return one line per licence, source and title, with the number of pairs: the attribution file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["licence", "uri", "pairs", "title"])
    for (licence, uri, title), count in sorted(Counter((pair.licence, pair.uri, pair.title) for pair in pairs).items()):
        writer.writerow([licence or "not stated", uri, count, title])
    return text.getvalue()
