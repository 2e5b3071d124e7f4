"""The scorer `probe` in a run: what teaches it, what it says of candidates, and how another run uses it."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("sklearn")

from askback.curate.label_file import pair_of, split_of
from askback.curate.labels import Rated, Scale
from askback.curate.measures import auroc
from askback.curate.teach_probe import wanted
from askback.engines.scripted import Scripted
from askback.errors import InputError, RecipeError
from askback.execution.shards import Records
from askback.plan import Plan
from askback.recipe import RecipeFile
from askback.records import Candidate, Judgement, exchange
from tests.commands import askback
from tests.untrained import as_prompted, write_recipe


def taste(text: str) -> float:
    """What people go by, and no judge is told: how many of the letters come late in the alphabet."""
    letters = [letter for letter in text.lower() if letter.isalpha()]
    return sum(letter > "n" for letter in letters) / max(1, len(letters))


def states(self: Any, prompts: Sequence[Any], answers: Sequence[str], depths: Sequence[float]) -> list[Any]:
    """States of which one depth has to do with what people go by."""
    found = []
    for prompt, answer in zip(prompts, answers, strict=True):
        noise = np.random.default_rng(list(f"{prompt.text}{answer}".encode())).normal(size=(len(depths), 2, 8))
        noise[1] += 100 * taste(answer)
        found.append(noise.astype(np.float32))
    return found


def labelled(path: Path, candidates: Sequence[Candidate]) -> float:
    """Write what people say of candidates, and return the taste above which they keep one."""
    middle = float(np.median([taste(one.output) for one in candidates]))
    rows = [
        {"instruction": one.instruction, "output": one.output, "label": int(taste(one.output) > middle)}
        for one in candidates
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return middle


@pytest.fixture
def file(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFile:
    monkeypatch.setattr(Scripted, "represent", states)
    # Ids go by the pages' folder, and with them which labels teach: so that has the same name in every run.
    monkeypatch.chdir(tmp_path)
    written = write_recipe(Path("in"), tiny_model, pages=24)
    written = written.model_copy(update={"resources": written.resources.model_copy(update={"runs": "runs"})})
    return as_prompted(written, seed=True, base=str(tiny_model), select={"top_fraction": 0.5})


def made(file: RecipeFile, path: Path, name: str, *arguments: str, **recipe: Any) -> Path:
    """Run a recipe and return the run folder."""
    tree = file.as_written()
    tree["name"], tree["recipe"] = name, tree["recipe"] | recipe
    path.write_text(yaml.safe_dump(tree))
    said = askback("run", path, *arguments)
    assert said.returncode == 0, said.stderr
    return path.parent / "runs" / name


def test_labels_teach_it_and_it_scores_and_another_run_uses_it(file: RecipeFile, tmp_path: Path) -> None:
    first = made(file, tmp_path / "recipe.yaml", "plain", score={"scorers": ["whole"]})
    candidates: list[Candidate] = list(Records(first / "augment", ""))
    middle = labelled(tmp_path / "labels.jsonl", candidates)
    labels = {"minimum_auroc": 0.0, "labels": str(tmp_path / "labels.jsonl")}
    run = made(file, tmp_path / "recipe.yaml", "taught", judge=labels, score={"scorers": ["probe"]})

    figures = json.loads((run / "teach-probe-1/probe.json").read_text())
    tested = {one.id for one in candidates if split_of(pair_of(one.messages)) == "test"}
    assert figures["labels"]["pairs"] == len(candidates) - len(tested), "no label that measures judges teaches one"
    assert figures["lessons"]["pairs"] == len(Records[Any](run / "teach", ""))
    judged: list[Judgement] = list(Records(run / "score-1", ""))
    scores = {one.candidate_id: one.score or 0.0 for one in judged if one.candidate_id in tested}
    good = [scores[one.id] for one in candidates if one.id in tested and taste(one.output) > middle]
    bad = [scores[one.id] for one in candidates if one.id in tested and taste(one.output) <= middle]
    assert auroc(good, bad) > 0.75 and all(0 < one.score < 1 for one in judged if one.score is not None)

    # The judge is known by its content, wherever it lies, and scores the same.
    shutil.copytree(run / "teach-probe-1", tmp_path / "elsewhere")
    marks = []
    for at in (run / "teach-probe-1", tmp_path / "elsewhere"):
        again = made(file, tmp_path / "recipe.yaml", "again", score={"scorers": ["probe"], "probe": str(at)})
        marks.append(json.loads((again / "score-1/step.json").read_text())["fingerprint"])
        assert not (again / "teach-probe-1").exists()
        assert [one.score for one in Records[Judgement](again / "score-1", "")] == [one.score for one in judged]
    assert marks[0] == marks[1]


def test_calibrate_tells_what_labels_teach(file: RecipeFile, tmp_path: Path) -> None:
    first = made(file, tmp_path / "recipe.yaml", "plain", score={"scorers": ["whole"]})
    candidates: list[Candidate] = list(Records(first / "augment", ""))
    labelled(tmp_path / "labels.jsonl", candidates)
    labels = str(tmp_path / "labels.jsonl")
    said = askback(
        *("calibrate", tmp_path / "recipe.yaml", "--scorers", "probe,whole", "--labels", labels),
        *(
            "--set",
            f"recipe.judge.labels={labels}",
            "--set",
            "recipe.score.scorers=[probe]",
            "--set",
            "name=tried",
            "--json",
        ),
    )
    assert said.returncode == 0, said.stderr
    metrics = json.loads(said.stdout)
    tested = sum(split_of(pair_of(one.messages)) == "test" for one in candidates)
    assert metrics["labelled"] == tested, "what taught it does not measure it"
    assert metrics["scorers"]["probe"]["labels"]["auroc"][0] > 0.75
    curve = metrics["curve"]
    assert curve[0]["labels"] == 0 and {row["pairs"] for row in curve} == {len(candidates) - tested}
    assert curve[-1]["auroc_at_equal_length"] > max(0.7, curve[0]["auroc_at_equal_length"])


def test_what_does_not_fit_is_said_before_anything_is_made(file: RecipeFile, tmp_path: Path) -> None:
    def planned(recipe: dict[str, Any], engine: str = "scripted") -> Plan:
        tree = file.as_written()
        tree["recipe"] |= recipe
        tree["resources"]["engine"] = {"kind": engine, "url": "http://127.0.0.1:9/v1"}
        return Plan(RecipeFile.model_validate(tree), forecast=False)

    probe: dict[str, Any] = {"score": {"scorers": ["probe"]}}
    with pytest.raises(RecipeError, match=r"probe, which needs hidden states; the engine 'openai_http'"):
        planned(probe, "openai_http")
    with pytest.raises(InputError, match=r"probe.safetensors: cannot be read"):
        planned({"score": {"scorers": ["probe"], "probe": str(tmp_path)}})
    refused: list[tuple[dict[str, Any], str]] = [
        ({"score": {"scorers": ["whole"], "probe": "x"}}, "which scorers lacks"),
        ({"judge": {"labels": "x"}, "score": {"scorers": ["whole"]}}, "this recipe teaches none"),
        (probe | {"seed": {"sources": []}}, "there is nothing to teach it by"),
    ]
    for recipe, words in refused:
        with pytest.raises(ValueError, match=words):
            planned(recipe)


@pytest.mark.parametrize(
    ("scale", "labels", "kept", "dropped"),
    [
        ("levels", [1, 2, 3, 4, 5], [4, 5], [1, 2]),
        ("levels", [1, 1, 1], [], [1, 1, 1]),
        ("good or bad", [0, 1, 1], [1, 1], [0]),
        ("good or bad", [1, 1, 1], [1, 1, 1], []),
        ("", [0.2, 0.4, 0.6, 0.9], [0.6, 0.9], [0.2, 0.4]),
        ("", [], [], []),
    ],
)
def test_what_people_want_follows_from_the_scale(
    scale: Scale, labels: list[float], kept: list[float], dropped: list[float]
) -> None:
    pair = Rated("a", exchange("Why?", "So."), 0, "here", scale=scale)
    rated = [replace(pair, label=float(label)) for label in labels]
    found = list(wanted(rated))
    assert [one.label for one, keep in found if keep] == kept
    assert [one.label for one, keep in found if not keep] == dropped


def test_of_two_that_were_compared_the_better_one_is_wanted() -> None:
    values = [(1.0, "a"), (0.0, "a"), (0.5, "b"), (0.5, "b")]
    rated = [Rated(str(value), exchange("Why?", "So."), value, "here", "", mark) for value, mark in values]
    assert [(one.label, keep) for one, keep in wanted(rated)] == [(1.0, True), (0.0, False)]
