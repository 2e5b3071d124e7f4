"""Labels of every kind are read, and a row without one says what it holds."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.curate.labels import load_labels
from askback.execution.run import Run
from askback.execution.shards import rejections
from askback.recipe import Labels, RecipeFile


def load(folder: Path, text: str) -> tuple[list[Any], list[str]]:
    """Return the probes, and the details of what was dropped."""
    path = folder / "labels"
    path.write_text(text)
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    file = RecipeFile.model_validate({"name": "x", "recipe": recipe, "resources": {"runs": str(folder / "runs")}})
    with Run(file) as run:
        made = run.step("labels", load_labels, Labels(path=str(path)))
        return list(made), [drop.detail for drop in rejections(run.folder / "labels")]


def test_a_list_of_labels(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Sort.", "input": ["b", "a"], "output": "a, b", "label": "Good"},
        {"instruction": "Why?", "output": "So.", "rating": 2.5},
        {"instruction": "Why?", "output": "So.", "label": True},
    ]
    probes, dropped = load(tmp_path, json.dumps({"data": rows}, indent=1))
    assert [(one.instruction, one.label) for one in probes] == [('Sort.\n\n["b", "a"]', 1), ("Why?", 2.5), ("Why?", 1)]
    assert dropped == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": None}, "under 'label' or 'rating', found nothing"),
        ({"label": "fine"}, "found text 'fine'"),
        ({"label": ["good"]}, "found a list"),
        ({"instruction": 7}, "expected text under 'instruction', 'instruction' holds a number"),
        ({"output": None}, "expected text under 'output', 'output' holds null"),
        ({"output": " "}, "expected text under 'output', 'output' holds text"),
    ],
)
def test_a_row_without_a_label_says_what_it_holds(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    good = {"instruction": "Why?", "output": "So.", "label": 3}
    probes, (detail,) = load(tmp_path, "\n".join(map(json.dumps, (good, {**good, **change}))))
    assert len(probes) == 1 and why in detail


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 5000])
def test_what_is_no_number(number: str, tmp_path: Path) -> None:
    row = '{"instruction": "Why?", "output": "So.", "label": %s}'
    probes, dropped = load(tmp_path, f"{row % 4}\n{row % number}")
    assert len(probes) == len(dropped) == 1
