"""What is exported loads with `datasets` as it was: every format and file type, fields set, empty, and some of each."""

import itertools
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from askback import owned
from askback.errors import InputError
from askback.execution.outcome import Outcome
from askback.execution.shards import write_json, write_outcome
from askback.export import FORMATS, FormatName, export
from askback.export.exporters import exporter
from askback.export.features import provenance
from askback.export.folder import without_folders
from askback.export.languages import code
from askback.recipe import Seed
from askback.records import Example, Provenance, exchange
from askback.seed.load import gather

datasets = pytest.importorskip("datasets")
FILE_TYPES = ("parquet", "jsonl")
TEXTS = ["Plain.", "Zeilen\n\n und\ttab", "ภาษาไทย 日本語 हिन्दी", "🏳️‍🌈 👩🏽‍🔬 \u202eabc", '"quoted" \\ {"a": [1]}']
TEXTS += ["2024-05-01", "null", "12", "= 1 + 1"]


def pair(number: int, **changes: Any) -> Example:
    """A pair; `changes` are of its fields, of its provenance or of its texts."""
    text = TEXTS[number % len(TEXTS)]
    texts = {"instruction": f"{text}?", "output": text, "uri": f"file:{number}", "source": "html"} | changes
    about = Provenance(**{one.name: texts.pop(one.name) for one in fields(Provenance) if one.name in texts})
    messages = exchange(texts.pop("instruction"), texts.pop("output"))
    return replace(Example(f"id{number}", messages, about, "augmented", "train"), **texts)


def run_of(folder: Path, pairs: list[Example]) -> Path:
    """A run folder whose first round chose these pairs."""
    run = folder / "runs/x"
    owned.claim(run, "run")
    owned.claim(run / "select-1", "step")
    outcome = Outcome[Any]()
    for one in pairs:
        outcome.keep("pairs", one)
    write_outcome(run / "select-1", 0, Example, outcome)
    count = {"entered": len(pairs), "kept": len(pairs), "rejected": 0, "failed": 0}
    record = {"step": "select-1", "fingerprint": "f", "finished": 1.0, "counts": {"pairs": count}, "reasons": {}}
    write_json(run / "select-1/step.json", {**record, "metrics": {}})
    (run / "recipe.yaml").write_text("name: x\nrecipe: {rounds: 1, base: base}\n")
    return run


def load(out: Path) -> Any:
    return datasets.load_dataset(str(out), cache_dir=str(out.parent / "cache"))


SETS: dict[str, list[Example]] = {
    "all empty": [pair(n) for n in range(9)],
    "all set": [
        pair(
            n,
            score=n / 3,
            quality="1 of 5",
            licence="CC0-1.0",
            language="en",
            title="A title",
            date=f"2024-05-{n + 1:02}",
        )
        for n in range(9)
    ],
    "some set": [
        pair(n, score=[None, 1.0][n % 2], title=["", "T"][n % 3 == 0], date=["", "2024-05-01"][n % 2]) for n in range(9)
    ],
    "one pair": [pair(0, score=5.0)],
    "whole scores": [pair(n, score=float(n)) for n in range(9)],
}


@pytest.mark.parametrize("file_type", FILE_TYPES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", SETS)
def test_values_and_types_are_as_they_were(name: str, format: FormatName, file_type: str, tmp_path: Path) -> None:
    pairs = SETS[name]
    validation = 0.5 if len(pairs) > 1 else 0.0
    export(run_of(tmp_path, pairs), tmp_path / "out", format, file_type, validation=validation)
    loaded = load(tmp_path / "out")
    assert set(loaded) == ({"train", "validation"} if validation else {"train"})
    expected = {one.id: {**exporter(format).row(one), **provenance(one)} for one in pairs}
    rows = {row["id"]: row for split in loaded.values() for row in split}
    if name == "all set" and file_type == "jsonl":  # readers of JSON Lines make times of such texts
        for row in rows.values():
            row["date"] = row["date"].isoformat()
    assert rows == expected
    types = {split: one.features for split, one in loaded.items()}
    assert all(types[split] == types["train"] for split in types)
    assert types["train"]["score"].dtype == "float64" and types["train"]["title"].dtype == "string"


@pytest.mark.parametrize(("first", "second"), [*itertools.product(["all empty", "all set", "some set"], repeat=2)])
def test_exports_of_one_format_have_the_same_types(first: str, second: str, tmp_path: Path) -> None:
    """So that data sets can be put together."""
    loaded = []
    for number, name in enumerate((first, second)):
        folder = tmp_path / str(number)
        export(run_of(folder, SETS[name]), folder / "out")
        loaded.append(load(folder / "out")["train"])
    assert datasets.concatenate_datasets(loaded).num_rows == 18


def test_a_column_that_would_be_read_as_times_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path, [pair(n, title=f"2024-0{n + 1}-01T12:00") for n in range(3)])
    with pytest.raises(InputError, match="'title' looks like a time.*--file-type parquet"):  # noqa: RUF043
        export(run, tmp_path / "out", file_type="jsonl")
    assert not (tmp_path / "out").exists()
    export(run, tmp_path / "out")
    assert load(tmp_path / "out")["train"]["title"][0].endswith("T12:00")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        *[
            ("en", "en"),
            ("EN", "en"),
            ("en-GB", "en"),
            ("pt_BR", "pt"),
            ("zh-Hant-TW", "zh"),
            ("no", "no"),
            ("ast", "ast"),
        ],
        *[("English", ""), ("", ""), ("xx", ""), ("und", ""), ("Deutsch", ""), ("e", ""), ("en, de", ""), ("../x", "")],
    ],
)
def test_languages_are_codes_that_a_hub_takes(language: str, expected: str, tmp_path: Path) -> None:
    assert code(language) == expected
    export(run_of(tmp_path, [pair(0, language=language), pair(1, language="fr")]), tmp_path / "out")
    card = yaml.safe_load((tmp_path / "out/README.md").read_text().split("---")[1])
    assert card["language"] == sorted({expected, "fr"} - {""})


@pytest.mark.parametrize(
    "title", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", " =1", "＝1", "=cmd|'/c calc'!A1", "-2+3+cmd"]
)
def test_no_cell_is_a_formula(title: str, tmp_path: Path) -> None:
    import csv

    export(run_of(tmp_path, [pair(0, title=title, licence=title, uri=title)]), tmp_path / "out")
    with (tmp_path / "out/licences.csv").open(newline="") as file:
        (row,) = list(csv.reader(file))[1:]
    assert all(cell.split() == f"'{title}".split() or cell == f"' {title.strip()}" for cell in (row[0], row[1], row[3]))


def test_the_card_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    run = run_of(tmp_path, [pair(0)])
    recipe = {
        "rounds": 1,
        "base": "/home/ann/models/base",
        "chat_template": "~/templates/mine.jinja",
        "seed": {"sources": [{"path": "/home/ann/seed.jsonl"}], "decontaminate": ["/home/ann/evals/a.jsonl"]},
        "corpus": {
            "sources": [{"path": "/home/ann/docs/*.html"}, {"path": "zip://*.html::/home/ann/pages.zip"}],
            "decontaminate": ["/home/ann/evals/b.jsonl", "https://host/home/c.jsonl"],
            "word_lists": [{"path": "/home/ann/words.txt"}],
        },
    }
    (run / "recipe.yaml").write_text(yaml.safe_dump({"name": "x", "recipe": recipe}))
    export(run, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert "/home/ann" not in card and "~/" not in card and "https://host/home/c.jsonl" in card
    for name in ("base", "mine.jinja", "seed.jsonl", "a.jsonl", "b.jsonl", "pages.zip", "words.txt"):
        assert name in card
    assert without_folders([pair(0, uri="/home/ann/docs/a.html")], run)[0].provenance.uri == "a.html"


def test_a_line_of_json_is_the_pair(tmp_path: Path) -> None:
    pairs = SETS["some set"]
    export(run_of(tmp_path, pairs), tmp_path / "out", "alpaca", "jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [(row["instruction"], row["output"]) for row in rows] == [(one.instruction, one.output) for one in pairs]


@pytest.mark.parametrize("file_type", FILE_TYPES)
@pytest.mark.parametrize("format", FORMATS)
def test_an_export_can_be_a_seed(format: FormatName, file_type: str, tmp_path: Path) -> None:
    pairs = SETS["all set"]
    export(run_of(tmp_path, pairs), tmp_path / "out", format, file_type, validation=0.4)
    source = {"path": str(tmp_path / "out")}
    found = gather(Seed.model_validate({"sources": [source], "min_output_chars": 1}))
    assert {(one.instruction, one.output.strip()) for one in found.kept} == {
        (one.instruction, one.output.strip()) for one in pairs
    }
    known = {(one.provenance.licence, one.provenance.language) for one in found.kept}
    assert not found.dropped and known == {("CC0-1.0", "en")}
