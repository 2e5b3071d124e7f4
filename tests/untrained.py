"""A run folder as the loop leaves it, in seconds: the scripted engine, and models that are copies of the base."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

from askback import owned
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Counts
from askback.execution.run import Run
from askback.execution.step import Step
from askback.methods.humpback import humpback
from askback.recipe import Options, RecipeFile
from askback.train.rounding import write_bfloat16

WORDS = "river stone paper light engine garden music letter winter market bridge copper window answer".split()


@recorded(version=1, output="model")
def copied(step: Step, options: Options, /, **inputs: Any) -> Model:
    forms = [(path, owned.unfinished(path)) for path in (step.model.path, step.model.bfloat16) if path]
    shutil.copytree(inputs["base"].path, forms[0][1])
    write_bfloat16(forms[0][1], forms[1][1], step.random_seed, step.name)
    for final, made in forms:
        owned.put(made, final)
    step.counts = {"examples": Counts(1, 1)}
    step.metrics = {"steps": 2}
    return step.model


class Untrained(Run):
    """A run whose trainings copy the base model."""

    def step(self, name: str, function: Any, options: Any, *args: Any, **inputs: Any) -> Any:
        return super().step(name, copied if "train" in function.name else function, options, *args, **inputs)


def make_run(folder: Path, base: Path, name: str = "made") -> Path:
    """Make a run of one round with the scripted engine, and return its folder."""
    file = write_recipe(folder, base, name)
    with Untrained(file) as run:
        humpback(file.recipe, run)
    return run.folder


def write_recipe(folder: Path, base: Path, name: str = "made", pages: int = 6) -> RecipeFile:
    """Write pages of six sections and seed pairs, and return the recipe of a run of one round over them."""
    draw = random.Random(3)

    def sentences(count: int) -> str:
        return " ".join(
            " ".join(draw.choices(WORDS, k=9)).capitalize() + f" {draw.random():.6f}." for _ in range(count)
        )

    (folder / "pages").mkdir(parents=True)
    for page in range(pages):
        parts = [f"<h2>About {draw.choice(WORDS)} {part}</h2><p>{sentences(14)}</p>" for part in range(6)]
        (folder / f"pages/{page}.html").write_text(f"<html><body><h1>Page</h1>{''.join(parts)}</body></html>")
    rows = [{"instruction": f"How about {draw.choice(WORDS)} {n}?", "output": sentences(2)} for n in range(60)]
    (folder / "seed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    corpus = {"sources": [{"format": "html", "path": str(folder / "pages"), "licence": "CC0-1.0"}], "languages": []}
    training = {"steps": 2, "batch_size": 2, "max_tokens": 128}
    return RecipeFile.model_validate(
        {
            "name": name,
            "recipe": {
                "base": str(base),
                "seed": {"sources": [{"path": str(folder / "seed.jsonl")}], "held_out": 0.3},
                "corpus": corpus,
                "forward": training,
                "rounds": 1,
                "select": {"top_fraction": 0.5},
                "judge": {"minimum_auroc": 0.0},
            },
            "resources": {"runs": str(folder / "runs"), "engine": {"kind": "scripted"}},
        }
    )


def as_prompted(file: RecipeFile, seed: bool = False, **recipe: Any) -> RecipeFile:
    """Return the recipe of method prompted over the same documents, with or without the seed pairs."""
    whole = file.recipe.model_dump(mode="json", include={"corpus", *(("seed",) if seed else ())})
    made = {"method": "prompted", "select": {"min_score": 3}, "judge": {"minimum_auroc": 0.0}} | whole | recipe
    return RecipeFile.model_validate({"name": file.name, "recipe": made, "resources": file.resources.model_dump()})


def as_rewritten(file: RecipeFile, trained: bool = False, **recipe: Any) -> RecipeFile:
    """Return the recipe of method back_and_forth over the same documents: of one that trains, or asks in words."""
    include = {"corpus", "base", "seed", "backward", "forward"} if trained else {"corpus"}
    whole = file.recipe.model_dump(mode="json", include=include)
    own = {} if trained else {"base": "", "backward": {"mode": "prompted"}}
    judged = {} if recipe.get("curate") == "none" else {"select": {"min_score": 2}}
    made = {"method": "back_and_forth", "judge": {"minimum_auroc": 0.0}} | judged | own | whole | recipe
    return RecipeFile.model_validate({"name": file.name, "recipe": made, "resources": file.resources.model_dump()})


def as_answered(file: RecipeFile, **recipe: Any) -> RecipeFile:
    """Return the recipe of method reinstruct over the same documents and seed pairs."""
    whole = file.recipe.model_dump(mode="json", include={"corpus", "base", "seed", "backward"})
    made = {"method": "reinstruct", **whole, "rewriter": {"steps": 2, "batch_size": 2}} | recipe
    return RecipeFile.model_validate({"name": file.name, "recipe": made, "resources": file.resources.model_dump()})
