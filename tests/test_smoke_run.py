"""The full loop on a random two-layer model: killed at a random moment, resumed, and the same bytes come out.

Kills at every kind of step, many at a time, are in tests/fuzz/test_kills.py, with the scripted engine; here trainings are
real, and the work of the killed run is done in processes of its own, one thread each, as in the process of the test.
"""

import contextlib
import hashlib
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.commands import askback, askback_apart
from tests.run_here import working_here
from tests.tiny import build_tiny_model

WORDS = "river stone paper light engine garden music letter winter market bridge copper window answer".split()


def write_inputs(folder: Path) -> Path:
    """Write a model, a seed file with a broken line, pages with and without fault, and the recipe; return the recipe."""
    draw = random.Random(7)

    def sentence() -> str:
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(6, 12))).capitalize() + f" {draw.random():.6f}."

    build_tiny_model(folder / "model")
    pairs = [
        {"instruction": f"How about {draw.choice(WORDS)} {number}?", "output": f"{sentence()} {sentence()}"}
        for number in range(40)
    ]
    lines = [json.dumps(pair) for pair in pairs]
    lines.insert(9, '{"instruction": "cut')
    (folder / "seed.jsonl").write_text("\n".join(lines))
    (folder / "pages").mkdir()
    for page in range(12):
        parts = []
        for part in range(8):
            text = " ".join(sentence() for _ in range(draw.choice([3, 14])))
            parts.append(f"<h2>About {draw.choice(WORDS)} {part}</h2><p>{text}</p>")
        (folder / f"pages/{page:02d}.html").write_text(
            f"<html><body><h1>Page {page}</h1>{''.join(parts)}</body></html>"
        )
    (folder / "pages/99.html").write_text("<p>no header here</p>")
    training = {"steps": 3, "batch_size": 4, "max_tokens": 256, "learning_rate": 1e-3, "final_learning_rate": 9e-4}
    recipe = {
        "name": "smoke",
        "recipe": {
            "base": str(folder / "model"),
            "seed": {"sources": [{"path": str(folder / "seed.jsonl")}]},
            "corpus": {
                "sources": [{"format": "html", "path": str(folder / "pages"), "licence": "CC0-1.0"}],
                "languages": [],
                "max_chars": 1600,
            },
            "backward": {**training, "steps": 25, "learning_rate": 1e-2, "final_learning_rate": 1e-3},
            # So small a model writes nonsense, but has learnt to stop; what does not stop is rejected as unfinished.
            "augment": {
                "max_new_tokens": 24,
                "max_document_tokens": 96,
                "copied_words": 40,
                "temperature": 1.0,
                "top_p": 1.0,
            },
            "forward": {**training, "max_tokens": 1024},
            # So small a judge cannot judge; that it is tried, and stops nothing, is what counts here.
            "judge": {"examples": "contrast", "pairs": 4, "kinds": ["swapped"], "probes": 3, "minimum_auroc": 0.0},
            "score": {"max_output_tokens": 96},
            "select": {"top_fraction": 0.5},
            "evaluate": {"max_tokens": 1024},
        },
        "resources": {"runs": str(folder / "runs")},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def command(recipe: Path, name: str) -> list[str]:
    return ["run", str(recipe), "--set", f"name={name}"]


def results(run: Path) -> dict[str, str]:
    """Return a hash of every file that holds records or weights."""
    found = [*run.rglob("*.parquet"), *run.rglob("*.safetensors")]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def finished(run: Path) -> dict[str, int]:
    """Return the finished steps and when each was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in run.glob("*/step.json")}


@pytest.mark.timeout(900)
def test_killed_anywhere_the_loop_gives_the_same_bytes(
    tmp_path: Path, libraries: None, worker_processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    recipe = write_inputs(tmp_path)
    undisturbed, killed = tmp_path / "runs/undisturbed", tmp_path / "runs/killed"
    start = time.monotonic()
    with working_here():
        whole = askback(*command(recipe, "undisturbed"))
    taken = time.monotonic() - start
    assert whole.returncode == 0, whole.stderr

    moment = random.Random().uniform(0.2, 2) * taken  # a process of its own imports libraries first, and starts others
    process = subprocess.Popen([sys.executable, "-m", "askback", *command(recipe, "killed")])
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)  # unless it was done sooner
    process.kill()
    process.wait()
    made = finished(killed)
    last = askback(*command(recipe, "killed"))
    assert last.returncode == 0, last.stderr

    now = finished(killed)
    assert all(now[step] == then for step, then in made.items()), f"a finished step was made again ({moment} s)"
    assert results(killed) == results(undisturbed), f"killed after {moment} s"
    steps = {path.parent.name: json.loads(path.read_text()) for path in killed.glob("*/step.json")}
    assert set(steps) == {
        *("seed", "segment", "dedup", "backward", "augment", "loss-base", "teach", "m0", "loss-m0", "probes", "result"),
        *("natural", "ask-unseen", "rate-unseen", "unseen", "unseen-base", "unseen-m0", "beside-base", "beside-m0"),
        *(
            f"{step}{t}"
            for step in ("probe-", "check-", "score-", "select-", "m", "loss-m", "unseen-m", "beside-m")
            for t in (1, 2)
        ),
    }
    for name, step in steps.items():
        assert step["counts"], name
        for stage, counts in step["counts"].items():
            assert counts["entered"] == counts["kept"] + counts["rejected"] + counts["failed"], (name, stage, counts)
    assert steps["seed"]["counts"]["pairs"]["failed"] == 1, "the broken line is counted"
    assert steps["segment"]["reasons"]["segments/too-short"] > 10
    assert steps["score-1"]["counts"]["judgements"]["kept"] == steps["augment"]["counts"]["instructions"]["kept"]

    export_and_load(killed, tmp_path / "data", steps["select-2"]["counts"]["candidates"]["kept"])

    with working_here():
        another_threshold(recipe, killed)

    # Once more: nothing is left to do, and nothing is done.
    before = finished(killed)
    again = askback_apart(*command(recipe, "killed"))
    assert again.returncode == 0 and finished(killed) == before and "kept in" not in again.stderr


def another_threshold(recipe: Path, run: Path) -> None:
    """Change one option: the finished run is refused with a diff; a new one takes over all that is still right."""
    change = ["--set", "recipe.select.top_fraction=0.25", "--set", "recipe.rounds=1"]
    before = finished(run)
    refused = askback(*command(recipe, run.name), *change)
    assert refused.returncode == 5 and "options.top_fraction: 0.5 → 0.25" in refused.stderr, refused.stderr
    assert finished(run) == before
    again = [*command(recipe, "again"), *change, "--from", str(run)]
    made = askback(*again)
    assert made.returncode == 0, made.stderr
    taken = set(re.findall(r"^([\w-]+): taken over", made.stderr, re.MULTILINE))
    assert taken == {
        "seed",
        "segment",
        "dedup",
        "backward",
        "augment",
        "loss-base",
        "teach",
        "m0",
        "loss-m0",
        "score-1",
    } | {
        "probes",
        "probe-1",
        "check-1",
        "natural",
        "ask-unseen",
        "rate-unseen",
        "unseen",
        "unseen-base",
        "unseen-m0",
    } | {
        "beside-base",
        "beside-m0",
    }
    redone = askback(*again, "--redo", "m1")
    assert redone.returncode == 0 and "making again m1, loss-m1" in redone.stderr


def export_and_load(run: Path, out: Path, count: int) -> None:
    """Look at the run and export it as a user would, and load what was exported."""
    datasets = pytest.importorskip("datasets")
    status = askback("status", run, "--json")
    assert {step["state"] for step in json.loads(status.stdout)["steps"]} == {"done"}
    shown = askback("status", run).stdout
    assert "too-short" in shown and "nats per token" in shown
    assert askback("export", run, "--out", out).returncode == 0
    rows = datasets.load_dataset(str(out), split="train", cache_dir=str(out.parent / "cache"))
    assert len(rows) == count and set(rows["licence"]) == {"CC0-1.0"}
    assert all(len(row["messages"]) == 2 and 600 <= len(row["messages"][1]["content"]) <= 1600 for row in rows)
