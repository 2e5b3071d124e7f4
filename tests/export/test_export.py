"""An exported folder loads with `datasets`, carries its provenance, and says what it is."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from askback import owned
from askback.errors import InputError, RecipeError
from askback.execution.outcome import Outcome
from askback.execution.shards import Records, write_json, write_outcome, write_records
from askback.export import FORMATS, FormatName, export
from askback.export.folder import without_folders
from askback.export.hub import push
from askback.recipe import Select
from askback.records import Example, Origin, Provenance, Split, exchange

SHAPES = {
    "messages": lambda row: (row["messages"][0]["content"], row["messages"][1]["content"]),
    "sharegpt": lambda row: (row["conversations"][0]["value"], row["conversations"][1]["value"]),
    "alpaca": lambda row: (row["instruction"], row["output"]),
    "prompt-completion": lambda row: (row["prompt"][0]["content"], row["completion"][0]["content"]),
}


def example(number: int, origin: Origin) -> Example:
    split: Split = "held-out" if number == 3 else "train"
    licence = "CC0-1.0" if number % 2 else ""
    return Example(
        f"{origin}{number}",
        exchange(f"Ask | {number}?", f"An <b>answer</b>\n{number}"),
        Provenance(f"file:{number}", "html", licence, "en"),
        origin,
        split,
        4.5,
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a seed and one finished round."""
    folder = tmp_path / "runs/x"
    origins: list[tuple[str, Origin, float]] = [("seed", "seed", 1.0), ("select-1", "augmented", 2.0)]
    for name, origin, started in origins:
        owned.claim(folder / name, "step")
        outcome = Outcome[Any]()
        for number in range(4):
            outcome.keep("pairs", example(number, origin))
        write_outcome(folder / name, 0, Example, outcome)
        counts = {"pairs": {"entered": 4, "kept": 4, "rejected": 0, "failed": 0}}
        write_json(
            folder / name / "step.json",
            {"step": name, "finished": started, "counts": counts, "reasons": {}, "metrics": {}},
        )
    (folder / "recipe.yaml").write_text("name: x\nrecipe: {rounds: 1, base: base}\n")
    return folder


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("format", FORMATS)
def test_contract(
    format: FormatName, file_type: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    assert export(run, out, format, file_type) == 4
    rows = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert [SHAPES[format](row) for row in rows] == [(f"Ask | {n}?", f"An <b>answer</b>\n{n}") for n in range(4)]
    assert rows[1]["licence"] == "CC0-1.0" and rows[0]["uri"] == "file:0" and rows[0]["score"] == 4.5


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
def test_what_a_person_kept_is_marked(file_type: str, run: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pairs = [replace(example(n, "augmented"), human_reviewed=n == 2) for n in range(4)]
    (kept,) = (run / "select-1").glob("kept-*.parquet")
    write_records(kept, Example, pairs)
    export(run, tmp_path / "out", file_type=file_type)
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["human_reviewed"] for row in rows] == [False, False, True, False]


def test_seed_pairs_come_along_only_when_asked_and_never_held_out_ones(run: Path, tmp_path: Path) -> None:
    assert export(run, tmp_path / "out", file_type="jsonl", with_seed=True) == 7
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [row["origin"] for row in rows].count("seed") == 3 and "seed3" not in {row["id"] for row in rows}


def test_natural_pairs_come_along_where_they_served_as_seed(run: Path, tmp_path: Path) -> None:
    sides: dict[str, Any] = {"natural0": "train", "natural1": "held-out"}
    found = [
        Example(id, exchange("What is osmosis?", "Water."), Provenance(), "natural", side) for id, side in sides.items()
    ]
    (run / "natural").mkdir()
    write_records(run / "natural/kept-00000.parquet", Example, found)
    for use, rows in (("seed", ["natural0"]), ("held-out", [])):
        recipe = {"rounds": 1, "natural": {"use": use}}
        (run / "recipe.yaml").write_text(yaml.safe_dump({"name": "x", "recipe": recipe}))
        export(run, tmp_path / use, file_type="jsonl", with_seed=True)
        made = [json.loads(line) for line in (tmp_path / use / "train.jsonl").read_text().splitlines()]
        assert [row["id"] for row in made if row["origin"] == "natural"] == rows


def test_card_licences_and_checksums(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(run, out)
    card = (out / "README.md").read_text()
    assert card.startswith("---\n") and "| CC0-1.0 | 2 |" in card and "| not stated | 2 |" in card
    assert "CC0-1.0,file:1,1" in (out / "licences.csv").read_text()
    for line in (out / "checksums.txt").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_a_run_of_the_first_edition_is_exported(run: Path, tmp_path: Path) -> None:
    """It kept instruction, output and what is known of a source in columns of their own."""
    export(run, tmp_path / "now", with_seed=True)
    for kept in run.glob("*/kept-*.parquet"):
        table = pq.read_table(kept)
        rows = [
            {"instruction": messages[0]["content"], "output": messages[1]["content"], **row.pop("provenance"), **row}
            for row in table.to_pylist()
            for messages in [row.pop("messages")]
        ]
        flat = pa.Table.from_pylist(rows).drop_columns(["author"])
        pq.write_table(flat.replace_schema_metadata(table.schema.metadata), kept)
    export(run, tmp_path / "then", with_seed=True)
    for name in ("train.parquet", "licences.csv"):
        assert (tmp_path / "now" / name).read_bytes() == (tmp_path / "then" / name).read_bytes()


def test_no_folder_of_this_machine_is_handed_on(run: Path, tmp_path: Path) -> None:
    room = {"sources": [{"path": "/home/ann/docs/*/x.html"}, {"path": "https://host/home/ann/docs/y"}, {"path": "/z"}]}
    recipe = {"rounds": 1, "seed": {"sources": [{"path": "/home/ann/seed.jsonl"}]}, "corpus": room}
    (run / "recipe.yaml").write_text(yaml.safe_dump({"name": "x", "recipe": recipe}))
    uris = ["/home/ann/docs/a/x.html", "https://host/home/ann/docs/y", "/home/ann/seed.jsonl:3", "/z/b"]
    pairs = [replace(example(n, "seed"), provenance=Provenance(uri, f"pairs:{uri}")) for n, uri in enumerate(uris)]
    found = [one.provenance for one in without_folders(pairs, run)]
    assert [one.uri for one in found] == ["a/x.html", "https://host/home/ann/docs/y", "seed.jsonl:3", "b"]
    assert [one.source for one in found][:3] == ["pairs:a/x.html", f"pairs:{uris[1]}", "pairs:seed.jsonl:3"]


def test_no_folder_in_a_url_of_this_machine_is_handed_on(run: Path) -> None:
    sources = ["file:///home/ann/docs", "zip://*.md::/home/ann/zips/docs.zip", "tar://*.md::file:///mnt/docs.tar"]
    recipe = {"rounds": 1, "corpus": {"sources": [{"path": path} for path in sources]}}
    (run / "recipe.yaml").write_text(yaml.safe_dump({"name": "x", "recipe": recipe}))
    shortened = {
        "/home/ann/docs/deep/a.md": "docs/deep/a.md",
        "file:///home/ann/docs/deep/a.md": "file://docs/deep/a.md",
        "zip://in/a.md::/home/ann/zips/docs.zip": "zip://in/a.md::docs.zip",
        "zip://in/a.md::https://host/home/ann/zips/docs.zip": "zip://in/a.md::https://host/home/ann/zips/docs.zip",
        "tar://a.md::file:///mnt/docs.tar": "tar://a.md::file://docs.tar",
        "zip://a.md::/elsewhere/docs.zip": "zip://a.md::docs.zip",
        "~/other.jsonl:3": "other.jsonl:3",
    }
    pairs = [replace(example(0, "seed"), provenance=Provenance(uri, f"pairs:{uri}")) for uri in shortened]
    found = [one.provenance for one in without_folders(pairs, run)]
    assert [one.uri for one in found] == list(shortened.values())
    assert [one.source for one in found] == [f"pairs:{name}" for name in shortened.values()]


def test_the_card_of_a_run_names_its_models_and_limits(made_run: Path, tmp_path: Path) -> None:
    count = export(made_run, tmp_path / "out", "alpaca", "jsonl", with_seed=True, validation=0.2)
    card = (tmp_path / "out/README.md").read_text()
    splits = re.search(r"Splits: train (\d+), validation (\d+)\.", card)
    assert splits and sum(map(int, splits.groups())) == count
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    described = card.partition("each record has")[2].partition("## How")[0]
    assert {f"`{name}`" for name in rows[0].keys() - {"instruction", "input", "output"}} == set(
        re.findall(r"`\w+`", described)
    )
    written = next(iter(Records[Any](made_run / "augment", "")))
    judged = next(iter(Records[Any](made_run / "score-1", "")))
    assert f"wrote the instructions: {written.model_id}, prompt {written.prompt_id}" in card
    assert f"judged them in round 1: {judged.model_id}, prompt {judged.prompt_id}" in card
    for said in ("- base: tiny; see its own licence", "Judge of round 1: mean AUROC", "Personal data in the documents"):
        assert said in card, said
    folder = str(made_run.parents[1])
    assert not [path.name for path in (tmp_path / "out").iterdir() if folder in path.read_text()]


@pytest.mark.parametrize("format", FORMATS)
def test_the_card_says_how_trl_trains_on_it(
    format: FormatName, run: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed program, run as it stands but for the number of steps and the model, for every format."""
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("trl")
    out = tmp_path / f"{format}-data"
    export(run, out, format, "jsonl", validation=0.5)
    program = re.search(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    assert program, "the card has no program"
    text = program[1].replace("model='base'", f"model={str(tiny_model)!r}")
    text = text.replace('output_dir="trained"', 'output_dir="trained", max_steps=2, use_cpu=True, report_to="none"')
    assert "max_steps" in text and str(tiny_model) in text
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(text, names)
    state = names["trainer"].state
    assert state.global_step == 2 and "train_loss" in state.log_history[-1]


def test_a_split_is_drawn_by_id(run: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export(run, tmp_path / "out", with_seed=True, validation=0.4)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"} and loaded["train"].num_rows + loaded["validation"].num_rows == 7
    export(run, tmp_path / "less", validation=0.4)
    fewer = datasets.load_dataset(str(tmp_path / "less"), cache_dir=str(tmp_path / "cache"))
    assert set(fewer["train"]["id"]) <= set(loaded["train"]["id"]), "a pair changed sides when seed pairs came along"


def test_push_to_a_hub(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a hub of our own on the loopback: every file of the export arrives as it is, once."""
    constants = pytest.importorskip("huggingface_hub.constants")
    export(run, tmp_path / "out", file_type="jsonl")
    with loopback_hub() as (address, received):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", "hf_loopback")
        push(tmp_path / "out", "me/data")
    assert received == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_nothing_is_pushed_to_a_public_data_set(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    export(run, tmp_path / "out", file_type="jsonl")
    with loopback_hub(private=False) as (address, received):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", "hf_loopback")
        with pytest.raises(InputError, match="--push-to-hub me/data: is a public data set already"):
            push(tmp_path / "out", "me/data")
    assert not received


def test_a_hub_that_is_not_there(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    export(run, tmp_path / "out")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"--push-to-hub me/data: .*The export in .* is whole"):
        push(tmp_path / "out", "me/data")
    with pytest.raises(InputError, match="written OWNER/NAME"):
        push(tmp_path / "out", "me/data/more")


@contextmanager
def loopback_hub(private: bool = True) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Serve the calls that make a data set and fill it; yield the address and what was received, by file name."""
    received: dict[str, bytes] = {}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            return self.answer({"id": "me/data", "private": private})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/create"):
                return self.answer({"url": f"{address}/datasets/me/data", "id": "me/data", "name": "me/data"})
            if "/preupload/" in self.path:
                paths = [file["path"] for file in json.loads(body)["files"]]
                files = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
                return self.answer({"files": files})
            if self.path.endswith("/validate-yaml"):
                return self.answer({"errors": [], "warnings": []})
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    received[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.answer(
                {"commitUrl": f"{address}/datasets/me/data/commit/{'0' * 40}", "commitOid": "0" * 40, "success": True}
            )

        def answer(self, value: object) -> None:
            sent = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address, received
    finally:
        server.shutdown()
        server.server_close()


def test_another_export_replaces_and_other_folders_are_left_alone(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    export(run, tmp_path / "out", file_type="jsonl")
    assert not (tmp_path / "out/train.parquet").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(InputError, match="no marker of this version"):
        export(run, tmp_path / "mine")


def finish(run: Path, rounds: int, result: int) -> None:
    """Add rounds up to `rounds`, with losses, and a result."""
    gates = []
    for t in range(1, rounds + 1):
        outcome = Outcome[Any]()
        outcome.keep("pairs", example(10 * t, "augmented"))
        owned.claim(run / f"select-{t}", "step")
        write_outcome(run / f"select-{t}", 0, Example, outcome)
        gate = {"round": t, "against": 0, "difference": 0.1, "low": 0.05, "high": 0.2, "passed": t == result}
        gates.append(gate)
    steps: dict[str, object] = {
        f"select-{t}": {"agreement": {"shared": 0.25, "jaccard": 0.2, "rank_correlation": 0.5}} for t in (2,)
    }
    steps |= {f"loss-m{t}": {"loss": 2.0 + 0.1 * abs(t - 2)} for t in range(rounds + 1)}
    counts = {"pairs": {"entered": 1, "kept": 1, "rejected": 0, "failed": 0}}
    for name, values in {**steps, "result": {"enabled": True, "round": result, "gates": gates}, "select-3": {}}.items():
        owned.claim(run / name, "step")
        record = {"step": name, "finished": 3.0, "counts": counts, "reasons": {}, "metrics": values}
        write_json(run / name / "step.json", record)
    (run / "recipe.yaml").write_text(f"name: x\nrecipe: {{rounds: {rounds}}}\n")


@pytest.mark.parametrize(("result", "exported"), [(1, "augmented10"), (3, "augmented30"), (0, "augmented20")])
def test_the_pairs_are_those_of_the_results_round(run: Path, tmp_path: Path, result: int, exported: str) -> None:
    finish(run, 3, result)
    assert export(run, tmp_path / "out", file_type="jsonl") == 1
    (line,) = (tmp_path / "out/train.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == exported
    card = (tmp_path / "out/README.md").read_text()
    assert f"The pairs are those of round {result or 2} of 3." in card and f"The result is m{result}" in card
    assert ("trained on the seed alone" in card) == (result == 0)
    assert "Of round 2's pairs, 25% were chosen in the round before too." in card


def test_a_run_that_is_not_finished_says_so(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    assert "was not finished" in (tmp_path / "out/README.md").read_text()


def test_mistakes_are_named(run: Path, tmp_path: Path) -> None:
    unknown: Any = "mesages"
    with pytest.raises(RecipeError, match="Did you mean 'messages'"):
        export(run, tmp_path / "out", unknown)
    with pytest.raises(InputError, match="no pairs are selected yet"):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty/recipe.yaml").write_text("name: y\nrecipe: {rounds: 1}\n")
        export(tmp_path / "empty", tmp_path / "out")


def test_select_has_one_rule() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Select()
