"""The run's lines of metrics say what its steps' records say, whatever was made again or taken over."""

import json
from pathlib import Path
from typing import Any

from askback.execution.run import Run, redo
from askback.recipe import Select
from tests.execution.test_step import make, recipe, sift


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_a_line_for_each_finished_step(tmp_path: Path) -> None:
    with Run(recipe(tmp_path / "old")) as run:
        segments = run.step("make", make, Select(top_n=3))
        assert [line["step"] for line in lines(run.folder)] == ["make"], "it is there as soon as a step is done"
        run.step("sift", sift, Select(top_n=1), segments=segments)
        found = lines(run.folder)
        assert [line["step"] for line in found] == ["make", "sift"]
        for line in found:
            record = json.loads((run.folder / line["step"] / "step.json").read_text("utf-8"))
            assert line == {key: record[key] for key in line} and {"counts", "metrics", "seconds", "tokens"} <= set(
                line
            )
        redo(run.folder, "make", ["sift"])
        run.step("make", make, Select(top_n=4))
        assert [(line["step"], line["counts"]["segments"]["kept"]) for line in lines(run.folder)] == [("make", 4)]
    with Run(recipe(tmp_path / "new"), source=tmp_path / "old/run") as run:
        run.step("make", make, Select(top_n=4))
        assert [line["step"] for line in lines(run.folder)] == ["make"], "a step taken over counts"
