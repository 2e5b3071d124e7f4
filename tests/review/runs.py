"""Run folders with pairs to review, written as a run leaves them, and the server of the page in a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from askback import owned
from askback.execution.shards import write_records
from askback.recipe import RecipeFile
from askback.records import Candidate, Example, Judgement, Probe, Provenance, exchange, reject

CANDIDATE_MODEL, JUDGE = "writer-of-secrets", "judge-of-secrets"


def candidate(number: int, output: str = "", instruction: str = "") -> Candidate:
    uri = f"https://{'abc'[number % 3]}.example/page-{number}"
    about = Provenance(uri, "html", "CC0-1.0", ("en", "de")[number % 2], f"Page {number}")
    output = output or f"Answer **{number}** has words.\n\n- one\n- two\n"
    messages = exchange(instruction or f"What is number {number}?", output, f"s{number // 2}")
    return Candidate(f"c{number}", messages, about, ["Top", f"Header {number}"], "prompt-id", CANDIDATE_MODEL, 7)


def score_of(number: int) -> float:
    """Return the score of a candidate; its digits are in no text."""
    return 1.00731 + (number * 37 % 100) / 25


def levels_of(number: int) -> list[float]:
    """Return probabilities of five levels, the surer the larger the number."""
    top = 0.2 + 0.75 * number / (number + 5)
    return [(1 - top) / 4] * 4 + [top]


def write_run(folder: Path, candidates: Sequence[Candidate], per_file: int = 64, second: Sequence[float] = ()) -> Path:
    """Write a run of one round whose judge scored every candidate, and chose the better half.

    Args:
        second: the scores of a second scorer, which gives no levels.
    """
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    file = RecipeFile.model_validate({"name": folder.name, "recipe": {**recipe, "rounds": 1}})
    owned.claim(folder, "run")
    (folder / "recipe.yaml").write_text(json.dumps(file.as_written()))
    scores = {one.id: score_of(at) for at, one in enumerate(candidates)}
    middle = sorted(scores.values())[len(scores) // 2]
    judgements = [
        Judgement(f"rubric{id}", id, "rubric", score, levels_of(at), 1.0, [], [], "p", JUDGE)
        for at, (id, score) in enumerate(scores.items())
    ]
    judgements += [
        Judgement(f"ifd{id}", id, "ifd", score, [], None, [], [], "p", JUDGE)
        for id, score in zip(scores, second, strict=False)
    ]
    chosen = [
        Example(one.id, one.messages, one.provenance, "augmented", "train", scores[one.id])
        for one in candidates
        if scores[one.id] >= middle
    ]
    dropped = [reject(one.id, "candidates", "not-chosen", "") for one in candidates if scores[one.id] < middle]
    kinds = ("true", "swapped", "truncated")
    probes = [
        Probe(f"p{n}{kind}", exchange(f"Probe {n}?", f"{kind} {n}."), Provenance("seed"), f"p{n}", kind)
        for n in range(4)
        for kind in kinds
    ]
    for at in range(0, len(candidates), per_file):
        _write(folder / "augment", Candidate, candidates[at : at + per_file], at // per_file)
    _write(folder / "score-1", Judgement, judgements)
    _write(folder / "select-1", Example, chosen)
    write_records(folder / "select-1/rejected-00000.parquet", type(dropped[0]), dropped)
    _write(folder / "probes", Probe, probes)
    for number, step in enumerate(("seed", "augment", "probes", "score-1", "select-1")):
        (folder / step).mkdir(exist_ok=True)
        record = {
            "step": step,
            "fingerprint": step,
            "finished": float(number),
            "counts": {},
            "reasons": {},
            "metrics": {},
        }
        (folder / step / "step.json").write_text(json.dumps(record))
    return folder


def _write(folder: Path, kind: type, records: Sequence[object], number: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    write_records(folder / f"kept-{number:05d}.parquet", kind, list(records))


class Served:
    """`askback review` in a process of its own; `url` holds the token."""

    def __init__(self, run: Path, by: str = "ada", pairs: int = 100) -> None:
        command = [sys.executable, "-m", "askback", "review", str(run), "--as", by, "--pairs", str(pairs)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]+", line)
        assert found, line + self.process.stdout.read()
        self.url, self.port = found[0], int(found[1])

    def kill(self) -> None:
        """End the process as kill -9 does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
