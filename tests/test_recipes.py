"""Every recipe that comes with askback runs to its end and gives data, at a small size: its own settings, a random model
to train, made-up files for what it reads from elsewhere, and an engine without a model for what is asked. Commands and
trainings run in this process, as libraries take longer to import than to train; test_smoke_run.py has the processes."""

import json
import random
import re
from pathlib import Path

import pytest

from askback.cli import app
from askback.recipe.names import METHODS
from tests.tiny import build_tiny_model

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
WORDS = "river stone paper light engine garden music letter winter market bridge copper window answer".split()


def text(draw: random.Random, sentences: int) -> str:
    parts = [
        " ".join(draw.choice(WORDS) for _ in range(9)).capitalize() + f" {draw.random():.6f}." for _ in range(sentences)
    ]
    return " ".join(parts)


def write_inputs(folder: Path) -> list[str]:
    """Write a model, pairs and pages; return the changes to a recipe that reads them."""
    draw = random.Random(3)
    build_tiny_model(folder / "model")
    pairs = [{"instruction": f"What of the {draw.choice(WORDS)} {n}?", "output": text(draw, 3)} for n in range(60)]
    (folder / "seed.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    (folder / "pages").mkdir()
    for page in range(8):
        sections = "".join(f"## About {draw.choice(WORDS)} {n}\n\n{text(draw, 14)}\n\n" for n in range(6))
        (folder / f"pages/{page}.md").write_text(f"# Page {page}\n\n{sections}")
    return [
        f"recipe.base={folder / 'model'}",
        f"recipe.seed.sources=[{{path: {folder / 'seed.jsonl'}}}]",
        "recipe.seed.held_out=0.2",
        f"recipe.corpus.sources=[{{format: markdown, path: {folder / 'pages'}, licence: CC0-1.0}}]",
        "recipe.corpus.languages=[]",
        "recipe.corpus.limit=30",
    ]


SMALL = [
    "recipe.rounds=1",
    "recipe.backward.steps=2",
    "recipe.backward.batch_size=8",
    "recipe.forward.steps=2",
    "recipe.forward.batch_size=8",
    "resources.engine.kind=scripted",
    "recipe.judge.minimum_auroc=0",  # what has no model judges nothing
]
OF_DEMO = [
    "recipe.backward.trained_layers=1",  # the model has two
    "recipe.forward.trained_layers=1",
    "recipe.backward.max_tokens=1024",  # its tokens are letters
    "recipe.forward.max_tokens=1024",
    "recipe.evaluate.max_tokens=4096",
    "recipe.corpus.max_chars=1600",  # of pages that are all of one length
    "recipe.corpus.min_prose=0",
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_to_its_end_and_gives_data(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ASKBACK_SHARED_DATA", "CRAWL", "SEED", "BASE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def askback(*arguments: str) -> str:
        capsys.readouterr()
        assert not app(list(arguments), standalone_mode=False), arguments
        return capsys.readouterr().out

    recipe = str(path)
    if path.stem == "template":
        askback("init", "my-run")  # as a new user has it
        recipe = "recipe.yaml"
    changes = [*write_inputs(tmp_path), *SMALL, *(OF_DEMO if path.stem == "demo" else ())]
    server = ("--url", "http://h/v1", "--key-env", "KEY")
    if path.stem in METHODS:  # its own model and seed are none
        askback("init", "my-run", "--method", path.stem, *(server if path.stem != "reinstruct" else ()))
        recipe = "recipe.yaml"
        own = r"recipe\.(corpus|judge)" if path.stem != "reinstruct" else r"recipe\.(corpus|base|seed|backward)"
        changes = [change for change in changes if re.match(own, change)]
        judged = ["recipe.select={min_score: 3}"] if path.stem != "reinstruct" else ["recipe.rewriter.steps=2"]
        changes += ["resources.engine={kind: scripted}", *judged]
    options = [word for change in changes for word in ("--set", change)]
    planned = json.loads(askback("plan", recipe, *options, "--json"))
    askback("run", recipe, *options)
    run = tmp_path / planned["run"]
    made = {path.parent.name for path in run.glob("*/step.json")}
    assert {step["name"] for step in planned["steps"]} == made, "what was planned is what was made"
    chosen = json.loads((run / "select-1/step.json").read_text())["counts"]["candidates"]
    assert 0 < chosen["kept"] < chosen["entered"] or path.stem == "reinstruct"
    askback("export", str(run), "--out", str(tmp_path / "data"), "--file-type", "jsonl")
    rows = (tmp_path / "data/train.jsonl").read_text().splitlines()
    kept = list(run.glob("grounded/step.json"))
    rewritten = json.loads(kept[0].read_text())["counts"]["grounded"] if kept else chosen
    assert len(rows) == rewritten["kept"] > 0
