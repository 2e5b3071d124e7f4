"""The script for other people's machines runs, and reports what it says it reports."""

import gzip
import json
import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.untrained import WORDS

pytest.importorskip("torch")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
ALONE = """
import json, runpy, sys
sys.modules.update(dict.fromkeys(("pydantic", "trl", "pyarrow", "accelerate")))
for sys.argv in json.loads(sys.argv[1]):
    runpy.run_path(sys.argv[0], run_name="__main__")
    print(end="\\f")
"""
"""Runs a script several times, where torch and transformers alone are installed."""


@pytest.fixture(scope="module")
def printed() -> tuple[str, str]:
    """What the script prints as a table, and what as JSON."""
    commands = json.dumps([[str(SCRIPT), "--tiny"], [str(SCRIPT), "--tiny", "--json"]])
    done = subprocess.run([sys.executable, "-c", ALONE, commands], capture_output=True, text=True, check=True)
    table, figures, _ = done.stdout.split("\f")
    return table, figures


def test_gpu_prints_a_table_of_the_whole_loop(printed: tuple[str, str]) -> None:
    lines = printed[0].splitlines()
    assert "TFLOP/s in bfloat16 products" in lines[0] and "GB/s in a copy" in lines[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[1] for row in rows[2:]] == ["augment", "score", "train"]
    assert all(len(row) == 8 for row in rows)


def test_gpu_gives_the_figures_as_json(printed: tuple[str, str]) -> None:
    figures = [json.loads(line) for line in printed[1].splitlines()]
    assert [figure["work"] for figure in figures] == ["augment", "score", "train"]
    for figure in figures:
        assert figure["card"] and figure["matrix_tflops"] > 0 and figure["copy_gb_per_s"] > 0
        kind = {"augment": "output", "score": "prompt", "train": "train"}[figure["work"]]
        assert figure["tokens_per_s"] == pytest.approx(figure[kind] / figure["seconds"]) and figure["parameters"] > 0
        # Peaks and rates are taken one after the other: on a machine that others use, a share may exceed 1.
        assert figure["of_matrix_peak"] > 0 and figure["of_copy_peak"] > 0
        assert figure["tflops"] == pytest.approx(figure["of_matrix_peak"] * figure["matrix_tflops"])


def test_the_judge_of_hidden_states_is_measured_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    (tmp_path / "labels").mkdir()
    pairs = [{"instruction": f"Why {number // 3}?", "response": "So. " * (3 + number % 7)} for number in range(90)]
    rated: list[dict[str, object]] = [
        {**pair, "id": str(at), "tree": str(at // 3), "first_turn": True, "quality": at * 7 % 10 / 10}
        for at, pair in enumerate(pairs)
    ]
    compared: list[dict[str, object]] = [
        {"id": str(at), "set": "one", "preference": 1 + at % 2}
        | {"instruction": "Why?", "output_1": f"So {at}.", "output_2": "So. " * 9}
        for at in range(12)
    ]
    for name, rows in (("oasst1_validation_quality", rated), ("preference_pairs", compared)):
        (tmp_path / f"labels/{name}.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    arguments = [str(tmp_path / "work"), "--data", str(tmp_path), "--parts", "ratings,preferences", "--tiny"]
    monkeypatch.setattr(sys, "argv", ["judge_probe.py", *arguments])
    printed = []
    for _ in range(2):
        runpy.run_path(str(SCRIPT.with_name("judge_probe.py")), run_name="__main__")
        printed.append(capsys.readouterr().out)
    first, again = printed
    assert "90 ratings of 30 trees" in again and "| one | 12 |" in again and "| length alone |" in again
    assert "states of 90 of 90" in first and "states of" not in again
    tables = [[line for line in said.splitlines() if line.startswith("|")] for said in (first, again)]
    assert tables[0] == tables[1]


def test_votes_are_measured_and_no_prompt_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [
        {"instruction": f"Why {n}?", "output": f"So it is. Take {n % 7} of them.\nThen go {n}."} for n in range(30)
    ]
    for name, answer in (("seed/oasst1_train_pairs", "output"), ("labels/oasst1_validation_quality", "response")):
        path = tmp_path / f"{name}.jsonl.gz"
        path.parent.mkdir()
        named = [{"instruction": pair["instruction"], answer: pair["output"]} for pair in pairs]
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, named)).encode()))
    script = str(SCRIPT.with_name("votes.py"))
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path / "work"), "--data", str(tmp_path), "--tiny"])
    said = []
    for _ in range(2):
        runpy.run_path(script, run_name="__main__")
        said.append(capsys.readouterr().out)
    assert " prompts\n" in said[0] and " prompts\n" not in said[1]
    rows = [line.split(" | ") for line in said[1].splitlines() if line.startswith("| all | ")]
    assert len(rows) == 4, "both sets of forms, with everything shown and guarded"
    assert "innocent pairs with a lone digit" in said[1] and "| guarded | " in said[1]


def test_forms_of_votes_are_enough_and_kept_apart() -> None:
    forms = json.loads(SCRIPT.with_name("votes.json").read_text("utf-8"))
    developed, held_out = ([text for texts in forms[name].values() for text in texts] for name in forms)
    assert len({*developed, *held_out}) == len(developed) + len(held_out) >= 59


def test_the_reproduction_runs_to_its_tables(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    write_data(data)
    script = str(SCRIPT.with_name("reproduction.py"))
    arguments = [str(data), str(tmp_path / "work"), "--size", "tiny", "--base", str(tiny_model)]
    arguments += ["--sittings", str(tmp_path / "sittings.jsonl")]
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    runpy.run_path(script, run_name="__main__")
    said = capsys.readouterr().out
    rows = [line.strip("| ").split(" | ") for line in said.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:6]] == ["m0", "seed+curated", "seed+random", "seed+swapped"]
    heads = {"held-out seed pairs", "documents set aside", "self-instruct-175", "user-oriented-252"}
    assert heads <= set(rows[0]), "every human set, and the documents"
    assert "The instructions are learnt from, and not the text alone" in said
    assert list((tmp_path / "work/tiny-0/study").glob("comparisons-on-*.svg"))
    (first,) = map(json.loads, (tmp_path / "sittings.jsonl").read_text().splitlines())
    assert len(first["contrasts"]) == 12, "three comparisons on four sets"


def write_data(folder: Path) -> None:
    """Write small files in the form of the data folder: seed pairs, validation messages, human sets, a crawl."""
    draw = random.Random(1)

    def words(count: int) -> str:
        return " ".join(draw.choices(WORDS, k=count)).capitalize() + "."

    def write(name: str, rows: list[dict[str, object]]) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    pairs: list[dict[str, object]] = [{"instruction": f"Why {words(4)} {n}?", "output": words(12)} for n in range(20)]
    write("seed/oasst1_train_pairs.jsonl.gz", pairs)
    write(
        "seed/self_instruct_seed_175.jsonl.gz",
        [{"instruction": f"Say {words(3)}", "output": words(9)} for _ in range(3)],
    )
    asked = {"instances": [{"input": words(4), "output": words(6)}]}
    write("eval/self_instruct_user_oriented_252.jsonl", [{"instruction": f"Do {words(3)}", **asked} for _ in range(3)])
    root = {"message_id": "a", "parent_id": None, "text": words(6), "role": "prompter", "lang": "en", "rank": None}
    reply = {"message_id": "b", "parent_id": "a", "text": words(9), "role": "assistant", "lang": "en", "rank": 0}
    tree = {"message_tree_id": "a", "deleted": False}
    write("seed/oasst1_validation_messages.jsonl.gz", [root | tree, reply | tree])
    parts = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"]
    for n in range(60):
        sections = "".join(f"<h2>About {words(2)}</h2><p>{' '.join(words(9) for _ in range(16))}</p>" for _ in range(2))
        page = f"<html><head><title>Page {n}</title></head><body><h1>Page</h1>{sections}</body></html>".encode()
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://site{n}.example/a\r\n"
        parts.append(f"{head}Content-Length: {len(http)}\r\n\r\n".encode() + http + b"\r\n\r\n")
    (folder / "corpus").mkdir()
    (folder / "corpus/web-sample.warc.gz").write_bytes(b"".join(map(gzip.compress, parts)))


def test_sittings_are_kept_once_and_shown_together(tmp_path: Path) -> None:
    module = runpy.run_path(str(SCRIPT.with_name("reproduction.py")))
    contrast = {"set": "seed+curated", "against": "m0", "measure": "documents"}
    kept = tmp_path / "sittings.jsonl"
    for seed, difference in ((1, 9.0), (0, -0.01), (1, -0.03)):
        row = {
            "size": "laptop",
            "base": "b",
            "random_seed": seed,
            "contrasts": [{**contrast, "difference": difference}],
        }
        sittings = module["add_sitting"](kept, row)
    module["add_sitting"](kept, {**row, "base": "other"})
    assert [row["random_seed"] for row in sittings] == [0, 1] and len(kept.read_text().splitlines()) == 3
    table = module["of_sittings"](sittings)
    # t(0.975, 1) = 12.706 and t(0.8, 1) = 1.376; the standard deviation is 0.01414, the error of the mean 0.01.
    shown = ["seed+curated − m0", "documents", "-0.0100", "-0.0300", "-0.0200 (-0.1471 to +0.1071)", "0.1408"]
    assert table.rows == [shown]
