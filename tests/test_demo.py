"""The demo as a newcomer has it: plain words, pairs as they are written, what was learnt, what next."""

import json
import random
import re
import runpy
from pathlib import Path

import pytest

from askback.cli import app
from askback.errors import InputError
from askback.methods import names
from askback.plan import demo
from askback.plan.demo import load_demo
from askback.report.guide import SHOWN_CHARS, beginning
from tests.test_recipes import OF_DEMO, text
from tests.tiny import build_tiny_model

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks/transcript.py"))
shape, shown_in = SCRIPT["shape"], SCRIPT["shown_in"]
RECIPE = ROOT / "recipes/demo.yaml"


def pages(folder: Path, count: int = 40) -> Path:
    draw = random.Random(3)
    folder.mkdir()
    for page in range(count):
        sections = "".join(f"## About {page} {n}\n\n{text(draw, 14)}\n\n" for n in range(2))
        (folder / f"{page}.md").write_text(f"# Page {page}\n\n{sections}")
    return folder


def small(folder: Path) -> list[str]:
    build_tiny_model(folder / "model")
    changes = [
        f"recipe.base={folder / 'model'}",
        "recipe.corpus.languages=[]",
        "recipe.backward.steps=2",
        "recipe.forward.steps=2",
        "resources.engine.kind=scripted",
        *OF_DEMO,
    ]
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.timeout(900)
def test_a_demo_of_ones_own_documents_has_the_shape_of_readmes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "LEAST", 4)
    options = ["--docs", str(pages(tmp_path / "pages")), *small(tmp_path)]
    assert not app(["demo", *options], standalone_mode=False)
    said = capsys.readouterr().out
    assert shape(said) == shape(shown_in(ROOT / "README.md")) == SCRIPT["SHAPE"]
    assert re.search(r"learns from [\d,]+ tokens a second: the whole will take about \d+", said)
    assert "--docs FOLDER" in said and (tmp_path / "runs/demo-pages/report.html").exists()
    rows = (tmp_path / "data/demo-pages/README.md").read_text("utf-8")
    assert "demo" in rows and json.loads((tmp_path / "runs/demo-pages/result/step.json").read_text())["metrics"]


def test_too_few_documents_are_refused_with_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"\d+ texts to ask about and \d+ to measure on are too few, 24 of each"):
        app(["demo", "--docs", str(pages(tmp_path / "pages", 2)), *small(tmp_path)], standalone_mode=False)


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        load_demo(RECIPE, tmp_path / "none")
    (tmp_path / "song.mp3").write_bytes(b"")
    with pytest.raises(InputError, match=r"no documents in it; looked for .*\.html"):
        load_demo(RECIPE, tmp_path)


def test_the_formats_of_a_folder_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "my papers, 2"
    (folder / "more").mkdir(parents=True)
    (folder / "more/a.md").write_text("# A")
    (folder / "b.HTML").write_text("<p>b")
    file = load_demo(RECIPE, folder)
    assert [(one.format, one.path) for one in file.recipe.corpus.sources] == [
        ("html", str(folder)),
        ("markdown", str(folder)),
    ]
    assert file.name == "demo-my-papers-2"


@pytest.mark.parametrize("name", ["資料\u30002024", "back\\slash", 'it\'s "odd"', "a: {b}, [c] #d", "😀"])
def test_a_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a.md").write_text("# A")
    assert [one.path for one in load_demo(RECIPE, folder).recipe.corpus.sources] == [str(folder)]


def test_every_step_of_the_demo_has_words(tmp_path: Path) -> None:
    from askback.plan import Plan

    steps = [step.name for step in Plan(load_demo(RECIPE, None), forecast=False).steps]
    assert len(steps) > 15
    assert not [step for step in steps if names.in_words(step) == step]


def test_the_beginning_of_a_text_is_one_line_cut_at_a_word() -> None:
    assert beginning("a\n\nb  c") == "a b c"
    cut = beginning("river " * 100)
    assert len(cut) <= SHOWN_CHARS + 2 and cut.endswith("river …")
