"""An exported folder loads with `datasets`, carries its provenance, and says what it is."""

import hashlib
import json
from pathlib import Path

import pytest

from askback.config import Select
from askback.errors import InputError, RecipeError
from askback.execution.shards import write_json, write_outcome
from askback.export import FORMATS, export
from askback.records import Example, Outcome

SHAPES = {
    "messages": lambda row: (row["messages"][0]["content"], row["messages"][1]["content"]),
    "sharegpt": lambda row: (row["conversations"][0]["value"], row["conversations"][1]["value"]),
    "alpaca": lambda row: (row["instruction"], row["output"]),
    "prompt-completion": lambda row: (row["prompt"][0]["content"], row["completion"][0]["content"]),
}


def example(number: int, origin: str) -> Example:
    split = "held-out" if number == 3 else "train"
    licence = "CC0-1.0" if number % 2 else ""
    return Example(
        f"{origin}{number}",
        f"Ask | {number}?",
        f"An <b>answer</b>\n{number}",
        origin,
        split,
        f"file:{number}",
        "html",
        licence,
        "en",
        4.5,
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a seed and one finished round."""
    folder = tmp_path / "runs/x"
    for name, origin, started in (("seed", "seed", 1.0), ("select-1", "augmented", 2.0)):
        (folder / name).mkdir(parents=True)
        outcome = Outcome()
        for number in range(4):
            outcome.keep("pairs", example(number, origin))
        write_outcome(folder / name, 0, Example, outcome)
        counts = {"pairs": {"entered": 4, "kept": 4, "rejected": 0, "failed": 0}}
        write_json(
            folder / name / "step.json",
            {"step": name, "finished": started, "counts": counts, "reasons": {}, "metrics": {}},
        )
    (folder / "recipe.yaml").write_text("name: x\nrecipe: {rounds: 1}\n")
    return folder


@pytest.mark.parametrize("file_type", ["parquet", "jsonl"])
@pytest.mark.parametrize("format", FORMATS)
def test_contract(format: str, file_type: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    assert export(run, out, format, file_type) == 4
    rows = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert [SHAPES[format](row) for row in rows] == [(f"Ask | {n}?", f"An <b>answer</b>\n{n}") for n in range(4)]
    assert rows[1]["licence"] == "CC0-1.0" and rows[0]["uri"] == "file:0" and rows[0]["score"] == 4.5


def test_seed_pairs_come_along_only_when_asked_and_never_held_out_ones(run: Path, tmp_path: Path) -> None:
    assert export(run, tmp_path / "out", file_type="jsonl", with_seed=True) == 7
    rows = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [row["origin"] for row in rows].count("seed") == 3 and "seed3" not in {row["id"] for row in rows}


def test_card_licences_and_checksums(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(run, out)
    card = (out / "README.md").read_text()
    assert card.startswith("---\n") and "| CC0-1.0 | 2 |" in card and "| not stated | 2 |" in card
    assert "CC0-1.0,file:1,1" in (out / "licences.csv").read_text()
    for line in (out / "checksums.txt").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_another_export_replaces_and_other_folders_are_left_alone(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    export(run, tmp_path / "out", file_type="jsonl")
    assert not (tmp_path / "out/train.parquet").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(InputError, match="no export"):
        export(run, tmp_path / "mine")


def finish(run: Path, rounds: int, result: int) -> None:
    """Add rounds up to `rounds`, with losses, and a result."""
    gates = []
    for t in range(1, rounds + 1):
        outcome = Outcome()
        outcome.keep("pairs", example(10 * t, "augmented"))
        (run / f"select-{t}").mkdir(exist_ok=True)
        write_outcome(run / f"select-{t}", 0, Example, outcome)
        gate = {"round": t, "against": 0, "difference": 0.1, "low": 0.05, "high": 0.2, "passed": t == result}
        gates.append(gate)
    steps: dict[str, object] = {
        f"select-{t}": {"agreement": {"shared": 0.25, "jaccard": 0.2, "rank_correlation": 0.5}} for t in (2,)
    }
    steps |= {f"loss-m{t}": {"loss": 2.0 + 0.1 * abs(t - 2)} for t in range(rounds + 1)}
    counts = {"pairs": {"entered": 1, "kept": 1, "rejected": 0, "failed": 0}}
    for name, values in {**steps, "result": {"enabled": True, "round": result, "gates": gates}, "select-3": {}}.items():
        (run / name).mkdir(exist_ok=True)
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
    with pytest.raises(RecipeError, match="Did you mean 'messages'"):
        export(run, tmp_path / "out", "mesages")
    with pytest.raises(InputError, match="no pairs are selected yet"):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty/recipe.yaml").write_text("name: y\nrecipe: {rounds: 1}\n")
        export(tmp_path / "empty", tmp_path / "out")


def test_select_has_one_rule() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Select()
