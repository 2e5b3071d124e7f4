"""Write the export folder: the data, a card that describes them, licences and checksums."""

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from askback import owned
from askback.errors import InputError
from askback.execution.shards import Records
from askback.export.card import card, without_path
from askback.export.exporters import PREFERENCE, FormatName, exporter
from askback.export.features import dated, declared, json_lines, provenance, schema
from askback.export.snippets import dataset_info
from askback.inputs.remote import local
from askback.records import DRAWS, Example, Provenance, draw
from askback.studies.run_folder import chosen, preferred, recipe_tree, trained_on
from askback.text.plain import plain

if TYPE_CHECKING:
    import pyarrow as pa

CHECKSUMS = "checksums.txt"


def export(
    run: Path,
    out: Path,
    format: FormatName | Literal["preference"] = "messages",
    file_type: str = "parquet",
    with_seed: bool = False,
    validation: float = 0.0,
) -> int:
    """Write the run's data (studies/run_folder.py) to `out`, a folder that ``datasets.load_dataset(out)`` reads.

    Args:
        with_seed: add the seed pairs that were trained on, and natural pairs that served as such.
        validation: share of the pairs that goes into a split of its own, drawn by their ids.

    Returns:
        The number of pairs.

    Raises:
        InputError: nothing is selected yet, or, for `preference`, preferred; or `out` is a folder that is not an unchanged
            export of ours.
        RecipeError: there is no such format.
    """
    shape = exporter(format).row
    out = owned.absolute(out)
    check_out(run, out)
    pairs = sorted(_data(run, format), key=lambda pair: pair.id)
    if with_seed:
        pairs += [pair for pair in trained_on(run) if pair.split == "train"]
    pairs = without_folders(pairs, run)
    files = _split(pairs, validation)
    rows = {split: [{**shape(pair), **provenance(pair)} for pair in some] for split, some in files.items()}
    columns = schema(format, dates=file_type == "jsonl" and dated(rows))
    owned.claim(out, "export", ADVICE)
    owned.clear(out)
    # Made whole first, so that a kill while it is made leaves the export that was there.
    made = owned.unfinished(out / "export")
    made.mkdir()
    for split, some in rows.items():
        _write(made / f"{split}.{file_type}", some, columns)
    (made / "licences.csv").write_text(_licences(pairs), "utf-8")
    (made / "README.md").write_text(
        card(run, pairs, format, out, file_type, {split: len(some) for split, some in rows.items()}, declared(columns)),
        "utf-8",
    )
    if info := dataset_info(format, f"{next(iter(files))}.{file_type}"):
        (made / "dataset_info.json").write_text(info, "utf-8")
    written = sorted(path.name for path in made.iterdir())
    (made / CHECKSUMS).write_text("".join(f"{owned.sha256(made / name)}  {name}\n" for name in written), "utf-8")
    _put_in_place(made, out)
    return len(pairs)


ADVICE = "Give an empty or new folder with --out; an export of version 0.1 you may delete yourself."


def _data(run: Path, format: str) -> Records[Example]:
    return preferred(run) if format == PREFERENCE else chosen(run)


def check_out(run: Path, out: Path) -> None:
    """Refuse a folder that is no export of ours, or lies in a run or in another export.

    Raises:
        InputError: it is one of these.
    """
    above = (owned.absolute(out), *owned.absolute(out).parents)
    if owned.owner(out) or run.resolve() in (out.resolve(), *out.resolve().parents) or any(map(_is_run, above)):
        raise InputError(f"{out}: lies in a folder of a run or an export. {ADVICE}")
    if owned.check_claim(out, "export", ADVICE):
        owned.refuse_foreign(out, ADVICE)


def _is_run(folder: Path) -> bool:
    """Return whether a folder looks like a run's, whatever version made it."""
    return (folder / "recipe.yaml").is_file() and next(folder.glob("*/step.json"), None) is not None


def _put_in_place(made: Path, out: Path) -> None:
    """Give the new files their names, and remove those of the export that was there before."""
    new = {path.name for path in made.iterdir()}
    for path in sorted(out.iterdir()):
        if path.name not in new | {owned.MARKER} and path != made:
            owned.remove(path)
    for name in sorted(new, key=lambda name: (name == CHECKSUMS, name)):
        owned.put(made / name, out / name)
    made.rmdir()


def _split(pairs: list[Example], validation: float) -> dict[str, list[Example]]:
    """Return the pairs by split, both in order; the split of a pair does not depend on other pairs."""
    held = {pair.id for pair in pairs if draw(0, "validation", pair.id) < validation * DRAWS}
    files = {"train": [pair for pair in pairs if pair.id not in held]}
    files |= {"validation": [pair for pair in pairs if pair.id in held]}
    return {split: some for split, some in files.items() if some}


def _write(path: Path, rows: list[dict[str, Any]], columns: "pa.Schema") -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json_lines(rows)), "utf-8")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows, schema=columns), path, compression="zstd")


def without_folders(pairs: list[Example], run: Path) -> list[Example]:
    """Return the pairs with `uri` and `source` relative to the folders of the recipe's files: no paths of this machine.

    Of a path in another folder, or at the root, only the name is left.
    """
    recipe = recipe_tree(run)
    sources = [one for room in ("seed", "corpus") for one in recipe.get(room, {}).get("sources", [])]
    # In a chain such as zip://*.html::/data/pages.zip, the last link is the file that holds the others.
    paths = [str(Path(local(one.get("path", "").rpartition("::")[2])).expanduser()) for one in sources]
    folders = {re.split(r"[*?\[]", path)[0].rpartition("/")[0] for path in paths if path.startswith("/")} - {""}
    longest_first = sorted(folders, key=len, reverse=True)
    return [replace(one, provenance=_less_of(longest_first, one.provenance)) for one in pairs]


def _less_of(folders: list[str], known: Provenance) -> Provenance:
    return replace(known, uri=_less(folders, known.uri), source=_less(folders, known.source))


def _less(folders: list[str], name: str) -> str:
    """Return a name without the folder that it begins with, or that follows the kind of file, as in ``pairs:/home/…``."""
    for folder in folders:
        kind, found, rest = name.partition(f"{folder}/")
        if found and (not kind or kind.endswith((":", "file://", "local://"))):
            return kind + rest
    return without_path(name)


def _licences(pairs: list[Example]) -> str:
    """Return one line per licence, source and title, with the number of pairs: the attribution file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["licence", "uri", "pairs", "title"])
    known = Counter((one.licence, one.uri, one.title) for one in (pair.provenance for pair in pairs))
    for (licence, uri, title), count in sorted(known.items()):
        writer.writerow([_no_formula(licence or "not stated"), _no_formula(uri), count, _no_formula(title)])
    return text.getvalue()


def _no_formula(cell: str) -> str:
    """Return a cell as one line that no spreadsheet takes for a formula: an apostrophe precedes one that begins like it."""
    line = plain(re.sub(r"[\s\x00-\x1f]+", " ", cell))
    return f"'{line}" if re.match(r"[=+\-@＝＋－＠ ]", line) else line
