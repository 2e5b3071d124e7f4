"""A plan counts all documents of a source where that needs no reading of them, however few it has time to look at."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from askback.corpus import forecast
from askback.corpus.readers import documents
from askback.execution.forecast import Refusals
from askback.recipe import Corpus, CorpusSource


def foreseen(source: CorpusSource, folder: Path) -> tuple[int, int]:
    """Return how many documents are forecast of a source, and how many segments of them."""
    context: Any = SimpleNamespace(refusals=Refusals(at_once=True), folder=folder)
    found = forecast.forecast_of_segments(Corpus(sources=[source], languages=[]), context)
    (count,) = found.documents.values()
    assert found.entered == count
    return count, found.made.count


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for a single lot, of four documents."""
    monkeypatch.setattr(forecast, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr("askback.corpus.watched.LOT", 4)


def test_installed_documentation_is_counted_though_little_of_it_is_read(hurried: None, tmp_path: Path) -> None:
    source = CorpusSource(format="installed-docs")
    there = sum(1 for _ in documents(source, [], Corpus(sources=[source])))
    count, segments = foreseen(source, tmp_path)
    assert count == there > 50 and segments > 4
    assert foreseen(source.model_copy(update={"limit": 30}), tmp_path)[0] == 30


def test_files_of_a_document_each_are_counted_though_few_are_read(hurried: None, tmp_path: Path) -> None:
    for number in range(10):
        text = "".join(f"Boat number {at} of {number} went down the river to the market. " for at in range(20))
        (tmp_path / f"{number}.md").write_text(f"# Boats\n\n{text}\n")
    source = CorpusSource(format="markdown", path=str(tmp_path))
    assert foreseen(source, tmp_path) == (10, 10)
    assert foreseen(source.model_copy(update={"sample": 0.5}), tmp_path) == (5, 5)


def test_rows_of_what_is_read_whole_are_counted(tmp_path: Path) -> None:
    text = "".join(f"Boat number {at} went down the river to the market. " for at in range(20))
    rows = [json.dumps({"text": f"# Boats of {number}\n\n{text}"}) for number in range(7)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    assert foreseen(CorpusSource(format="jsonl", path=str(tmp_path / "rows.jsonl")), tmp_path)[0] == 7


@pytest.mark.parametrize(("preset", "said"), [("paper", True), ("web", False)])
def test_the_paper_s_rules_are_told_what_web_would_keep(preset: str, said: bool, tmp_path: Path) -> None:
    paragraph = "".join(f"Boat number {at} went down the river to the market. " for at in range(20)).strip()
    (tmp_path / "short.md").write_text(f"# Boats\n\n{paragraph}\n")
    (tmp_path / "long.md").write_text("# Ships\n\n" + "".join(f"{paragraph} {number}.\n\n" for number in range(9)))
    source = {"format": "markdown", "path": str(tmp_path)}
    options = {"sources": [source], "languages": [], "preset": preset, "repeat_jaccard": None, "drop_copies": False}
    context: Any = SimpleNamespace(refusals=Refusals(at_once=True), folder=tmp_path)
    found = forecast.forecast_of_segments(Corpus.model_validate(options), context)
    assert found.made.count == (1 if said else 2)
    assert found.notes == (("preset web would keep about 2 segments, the paper's rules 1",) if said else ())
