"""Whatever is wrong with a file that a run keeps about itself, each command says so in one line, or can do without it."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand

from askback.cli import making, results
from askback.errors import AskbackError, Drift, RecipeError
from askback.execution.run import redo
from askback.export import export
from askback.methods.humpback import humpback
from askback.recipe import RecipeFile
from askback.recipe.file import load_recipe
from askback.report.html import write_report
from askback.studies.study import Study, study
from tests.fuzz import SIZE
from tests.untrained import Untrained

FILES = """seed/step.json segment/step.json select-1/step.json loss-m0/step.json loss-m1/step.json result/step.json
m0/step.json check-1/step.json probe-1/step.json seed/plan.json score-1/plan.json seed/timings.jsonl
score-1/timings.jsonl metrics.jsonl recipe.yaml forecast.json rates.json .askback.jsonl select-1/.askback.jsonl
select-1/kept-00000.parquet check-1/kept-00000.parquet loss-m1/kept-00000.parquet m1/metrics.jsonl
evaluate/summary.json study/summary.json calibrate/0a/metrics.json""".split()
ODD: list[Any] = [None, True, -1, 10**400, 1e308, "", "x" * 300, [], [1], {}, {"a": {}}, float("nan"), float("inf")]


def spoilt(draw: random.Random, text: bytes) -> bytes:
    """Return other bytes in place of a file's."""
    kind = draw.choice(("empty", "cut", "binary", "byte", "other", "deep", "value", "value", "missing", "missing"))
    try:
        value: Any = json.loads(text) if kind in ("value", "missing") else None
    except ValueError:
        kind = "cut"
    match kind:
        case "empty":
            return b""
        case "cut":
            return text[: draw.randrange(max(1, len(text)))]
        case "binary":
            return draw.randbytes(200)
        case "byte":
            place = draw.randrange(max(1, len(text)))
            return text[:place] + draw.randbytes(1) + text[place + 1 :]
        case "other":
            return json.dumps(draw.choice(ODD)).encode()
        case "deep":
            return b"[" * 100_000
    node = value
    while isinstance(node, dict) and node:
        key = draw.choice(list(node))
        if draw.random() < 0.5 or not isinstance(node[key], dict):
            if kind == "missing":
                del node[key]
            else:
                node[key] = draw.choice(ODD)
            break
        node = node[key]
    return json.dumps(value).encode()


def go_on(run: Path) -> None:
    with Untrained(recipe_of(run)) as steps:
        humpback(steps.file.recipe, steps)


def again(run: Path) -> None:
    with Untrained(recipe_of(run)) as steps:
        redo(steps.folder, "select-1", ["result"])
        humpback(steps.file.recipe, steps)


def recipe_of(run: Path) -> RecipeFile:
    file = load_recipe(run / "recipe.yaml")
    return file.model_copy(update={"resources": file.resources.model_copy(update={"runs": str(run.parent)})})


def calibrated(run: Path) -> None:
    results.calibrate(run / "recipe.yaml", set=[f"resources.runs={run.parent}"])


COMMANDS: dict[str, Callable[[Path], Any]] = {
    "status": lambda run: making.status(run),
    "status --json": lambda run: making.status(run, as_json=True),
    "report": lambda run: write_report([run], run.parent / "report.html"),
    "export": lambda run: export(run, run.parent / "data", with_seed=True),
    "run": go_on,
    "run --redo": again,
    "run --from": lambda run: go_on_from(run),
    "corpus": lambda run: making.corpus(run / "recipe.yaml", set=[f"resources.runs={run.parent}"]),
    "evaluate": lambda run: results.evaluate(typer.Context(TyperCommand("evaluate")), run),
    "study": lambda run: study(run, Study(sizes=(1000,))),
    "calibrate": calibrated,
}


def go_on_from(run: Path) -> None:
    file = recipe_of(run)
    with Untrained(file.model_copy(update={"name": "other"}), source=run) as steps:
        humpback(file.recipe, steps)


def copied(source: str, target: str) -> None:
    """Copy a file, but for those that are only ever replaced as a whole, which are linked."""
    link = source.endswith((".safetensors", ".parquet"))
    (os.link if link else shutil.copy2)(source, target)


@pytest.fixture(scope="module")
def whole(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with all that may be in one."""
    run = shutil.copytree(made_run, tmp_path_factory.mktemp("whole") / "made")
    losses = {"base": {"loss": 2.0, "pairs": 3, "tokens": 9}}
    summary = {"losses": {"held-out": losses}, "models": {"base": "base"}, "data": {}, "win_rates": {}, "run": "made"}
    (run / "calibrate/0a").mkdir(parents=True)
    extra: dict[str, Any] = {
        "forecast.json": {"rates": "assumed", "steps": {"seed": {"seconds": 1.0, "tokens": {"train": 3}, "usd": 0}}},
        "rates.json": {"startup": 1.0, "engine": "scripted", "spent": {"loss": {"seconds": 1.0, "prompt": 3}}},
        "evaluate/summary.json": summary,
        "study/summary.json": {
            "points": [],
            "fits": {},
            "contrasts": [],
            "claims": [],
            "conclusion": "",
            "trainings": 1,
        },
        "calibrate/0a/metrics.json": {"model": "m0", "taught": [], "pairs": 0, "scorers": {}},
        "m1/metrics.jsonl": {"step": 1, "loss": 2.0, "seconds": 1.0},
    }
    for name, value in extra.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text(json.dumps(value) + "\n")
    return run


@pytest.mark.timeout(3600)
def test_damage_is_one_line(whole: Path, tmp_path: Path) -> None:
    draw = random.Random(11)
    for number in range(int(60 * SIZE)):
        file, command = draw.choice(FILES), draw.choice(list(COMMANDS))
        run = shutil.copytree(whole, tmp_path / str(number) / "made", copy_function=copied)
        text = spoilt(draw, (run / file).read_bytes())
        (run / file).unlink()
        (run / file).write_bytes(text)
        try:
            COMMANDS[command](run)
        except (RecipeError, Drift):
            pass  # a line for each problem
        except AskbackError as error:
            assert "\n" not in str(error), error
        except Exception as error:
            raise AssertionError(f"{command} with {file} = {text[:300]!r}: {error!r}") from error
        shutil.rmtree(tmp_path / str(number))
