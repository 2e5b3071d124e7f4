"""A run with everything a report can show, and a browser to show it in."""

import json
import shutil
from pathlib import Path

import pytest

from askback.evaluate.options import Answering, Questions
from askback.methods.humpback import humpback
from askback.recipe import RecipeFile
from askback.studies import evaluation, study
from askback.studies.calibration import calibrate
from tests.untrained import Untrained, copied

PLANTED = (
    '</script><script>document.title = "owned"</script><img src="https://example.org/x.png" onerror="document.title=1">'
)
WORDS = [f"{word}{n}" for n in range(4) for word in ("river", "market", "lantern", "engine", "garden")]


@pytest.fixture(scope="session")
def planted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the scripted engine over documents of which every one tries to be markup, with all that can be
    asked about it afterwards: calibrated, evaluated, scaled. Its models are copies of the base."""
    here = tmp_path_factory.mktemp("report")
    file = _recipe(here, tiny_model)
    with Untrained(file) as made:
        humpback(file.recipe, made)
        calibrate(file, made, file.recipe.score.model_copy(update={"scorers": ["rubric", "ifd"]}))
    evaluation.evaluate(made.folder, Questions(prompts=("held-out",), limit=12, answering=Answering(max_new_tokens=16)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train_forward", copied)
        wanted = study.Study(
            sets=("uncurated", "seed"),
            contrasts=(("uncurated", "seed"),),
            sizes=(2, 4, 8),
            seeds=2,
            judge="base",
            limit=4,
        )
        study.study(made.folder, wanted)
    return made.folder


def _recipe(here: Path, base: Path) -> RecipeFile:
    rows = [
        {"instruction": f"Write {n} stories about {WORDS[n % 20]}.", "output": f"Rivers run {n} ways."}
        for n in range(60)
    ]
    (here / "seed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (here / "pages").mkdir()
    escaped = PLANTED.replace("&", "&amp;").replace("<", "&lt;")
    for n in range(12):
        text = " ".join(f"The {word} of page {n} tells of the {word} that came before it." for word in WORDS)
        page = f"<h1>About page {n} {escaped}</h1><p>{text}</p><p>{escaped}</p><h2>Small</h2><p>Too short {escaped}</p>"
        (here / f"pages/{n}.html").write_text(page)
    return RecipeFile.model_validate(
        {
            "name": "planted",
            "recipe": {
                "base": str(base),
                "seed": {"sources": [{"path": str(here / "seed.jsonl")}], "held_out": 0.4},
                "corpus": {
                    "sources": [{"format": "html", "path": str(here / "pages")}],
                    "preset": "none",
                    "held_out": 0,
                },
                "forward": {"steps": 2, "batch_size": 2, "max_tokens": 256},
                "score": {"scorers": ["rubric", "additive"]},
                "select": {"top_fraction": [0.5, 0.25]},
                "judge": {"minimum_auroc": 0.0},
                "rounds": 2,
            },
            "resources": {"runs": str(here / "runs"), "engine": {"kind": "scripted"}},
        }
    )


@pytest.fixture
def other(planted: Path, tmp_path: Path) -> Path:
    """The same run under another name, with another recipe, and an evaluation of models that are gone."""
    copy = shutil.copytree(planted, tmp_path / "other", copy_function=shutil.copyfile)
    recipe = (copy / "recipe.yaml").read_text()
    assert "random_seed: 0" in recipe
    (copy / "recipe.yaml").write_text(recipe.replace("random_seed: 0", "random_seed: 7"))
    summary = json.loads((copy / "evaluate/summary.json").read_text())
    summary["models"]["m1"] = "m1-00000000"
    (copy / "evaluate/summary.json").write_text(json.dumps(summary))
    return copy
