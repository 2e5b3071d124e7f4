"""The gain from more data: the paper's scaling runs (method.md 1.5, 1.9), as recorded steps in the folder `scaling`.

Each set of examples is cut to each size; a model is trained on each, from the base model, with steps that follow from the
size alone, so that sets are compared at equal steps. Held-out loss is measured, the win rate too if there is a judge,
and w = alpha ln N + C is fitted to each set.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from askback.errors import InputError, RecipeError
from askback.evaluate.answers import held_out_prompts, read_prompts, write_answers
from askback.evaluate.fit import Fit, fit_log
from askback.evaluate.loss import measure_loss
from askback.evaluate.options import Answering, HeldOutPrompts, Judging, PromptFile, Subset
from askback.evaluate.pairwise import compare, win_rate
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records, write_json
from askback.execution.step import Step
from askback.methods import names
from askback.recipe import EngineOptions, SeedSource
from askback.recipe.names import PAIRS
from askback.records import Candidate, Example, draw, reject
from askback.seed.load import load_pairs
from askback.studies.run_folder import RunFolder, look, metrics, side_by_side
from askback.train.steps import train_forward
from askback.train.training_rows import schedule

SETS = ("seed", "curated", "uncurated")
"""Sets of the run: the seed, its data, and all candidates."""
BESIDE = "seed+"
"""Prefix of a set that is trained on together with the whole seed, as in the paper's own row."""
LOSS, WIN_RATE = "loss", "win_rate"


@dataclass(frozen=True)
class Scaling:
    """The options of a scaling study. `sets` are names of SETS or files of pairs, as FILE or FORMAT:FILE with a format of
    the seed's readers, perhaps after BESIDE; the win rate is that against M_0 on `prompts`."""

    sizes: tuple[int, ...]
    sets: tuple[str, ...] = ("curated", "uncurated", "seed")
    judge: str = ""
    prompts: str = "held-out"
    limit: int | None = None
    steps: int | None = None
    """Optimiser steps of each training; by default the recipe's, or else the paper's for the size."""
    judge_engine: EngineOptions | None = None
    """As `Questions.judge_engine`."""


@recorded(version=2)
def take(step: Step, options: Subset, *, examples: Records[Example | Candidate]) -> Records[Example]:
    """Draw `size` examples to train on; a smaller draw is part of a larger one. Candidates become examples."""
    outcome = Outcome[Example]()
    ranked = sorted((draw(step.random_seed, one.id, "scaling"), one.id) for one in examples if _taught(one))
    chosen = {id for _, id in ranked[: options.size]}
    if len(ranked) < options.size:
        raise InputError(f"{examples.folder}: has {len(ranked):,} examples to train on, fewer than {options.size:,}")
    for one in examples:
        if one.id in chosen:
            outcome.keep("examples", one if isinstance(one, Example) else _example(one))
        else:
            outcome.drop(
                reject(one.id, "examples", "not-drawn" if _taught(one) else "held-out", uri=one.provenance.uri)
            )
    return step.write(Example, [outcome])


def _taught(one: Example | Candidate) -> bool:
    return isinstance(one, Candidate) or one.split == "train"


def _example(one: Candidate) -> Example:
    return Example(one.id, one.messages, one.provenance, "augmented", "train")


def scale(folder: Path, wanted: Scaling, progress: Progress | None = None) -> dict[str, Any]:
    """Train and measure every set at every size; return what is also in ``scaling/summary.json``.

    Raises:
        RecipeError: no sizes, or a set that is none.
        InputError: a set is not made yet, or has fewer examples than a size.
    """
    made = look(folder)
    if not wanted.sizes or min(wanted.sizes) < 1:
        raise RecipeError("--sizes: give one size or more, as in --sizes 100,200,400")
    points: list[dict[str, Any]] = []
    with made.inside("scaling", progress, wanted.judge_engine) as run:
        for name in wanted.sets:
            examples = _set(name.removeprefix(BESIDE), made, run)
            for size in sorted(set(wanted.sizes)):
                points.append({"set": _label(name), "size": size, **_measure(name, size, examples, wanted, made, run)})
        found = {"base_of_the_logarithm": "e", "points": points, "fits": fits(points), "judge": wanted.judge}
        write_json(run.folder / "summary.json", found)
    return found


def _set(name: str, made: RunFolder, run: Run) -> Records[Example | Candidate]:
    if name in SETS:
        step = {"seed": names.SEED, "curated": made.chosen, "uncurated": names.CANDIDATES}[name]
        if step not in made.steps:
            raise InputError(f"{made.folder}: there is no {name} set yet. Finish the run first: askback run RECIPE")
        return made.records(step)
    format, path = _file(name)
    if not path.is_file():
        raise RecipeError(
            f"--sets {name}: no such set or file of pairs; allowed: {', '.join(SETS)}, a file, or FORMAT:FILE with "
            f"{', '.join(PAIRS)}"
        )
    source = SeedSource.model_validate({"path": str(path), "format": format, "split": "train"})
    return side_by_side(run, f"pairs-{path.stem}", load_pairs, source, seed=made.records(names.SEED))


def _file(name: str) -> tuple[str, Path]:
    """Return the format and the path of a set's name; a name of SETS is its own path."""
    format, _, path = name.partition(":")
    return (format, Path(path)) if format in PAIRS else ("pairs", Path(name))


def _label(name: str) -> str:
    beside = BESIDE if name.startswith(BESIDE) else ""
    return beside + _file(name.removeprefix(BESIDE))[1].name


def _measure(
    name: str, size: int, examples: Records[Example | Candidate], wanted: Scaling, made: RunFolder, run: Run
) -> dict[str, Any]:
    recipe = made.file.recipe
    stem = f"{Path(_label(name)).stem}-{size}"
    part = side_by_side(run, f"take-{stem}", take, Subset(size=size), examples=examples)
    seed = made.records(names.SEED)
    # By the size alone, so that sets are compared at equal steps; beside the seed, in the batches of M_0.
    beside = name.startswith(BESIDE) and recipe.training.exposure == "equal"
    plan = schedule(recipe.training, size)
    given = {"steps": wanted.steps or recipe.training.steps if beside else wanted.steps or plan.steps}
    options = recipe.training.model_copy(update=given if beside else {**given, "batch_size": plan.batch_size})
    taught = [seed, part] if name.startswith(BESIDE) else [part]
    model = side_by_side(run, f"train-{stem}", train_forward, options, base=made.base, examples=taught)
    row = metrics(side_by_side(run, f"loss-{stem}", measure_loss, recipe.evaluate, model=model, examples=seed))
    if wanted.judge or wanted.judge_engine:
        row |= _won(stem, model, wanted, made, run)
    return row


def _won(stem: str, model: Model, wanted: Scaling, made: RunFolder, run: Run) -> dict[str, Any]:
    """Return the win rate of a model against M_0."""
    if wanted.prompts == "held-out":
        asked = HeldOutPrompts(limit=wanted.limit)
        prompts = side_by_side(run, "prompts", held_out_prompts, asked, examples=made.records(names.SEED))
    else:
        prompts = side_by_side(run, "prompts", read_prompts, PromptFile(path=wanted.prompts, limit=wanted.limit))
    judge = made.judge(wanted.judge, run.file.resources.engine_for("compare"))
    best = made.quality(made.models[-1]) if stem.removeprefix(BESIDE).startswith("curated") else ""
    options = Answering(quality=best)
    answers = side_by_side(run, f"answers-{stem}", write_answers, options, model=model, prompts=prompts)
    against = side_by_side(
        run, "answers-m0", write_answers, Answering(), model=made.model(names.model(0)), prompts=prompts
    )
    compared = side_by_side(
        *(run, f"compare-{stem}", compare, Judging()), model=judge, prompts=prompts, answers=answers, baseline=against
    )
    won = win_rate(compared)
    controlled = won.length_controlled.win_rate if won.length_controlled else None
    return {WIN_RATE: won.total.win_rate, "standard_error": won.total.standard_error, "length_controlled": controlled}


def _values(points: list[dict[str, Any]], measure: str) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.get(measure) is not None:
            found.setdefault(point["set"], []).append((point["size"], point[measure]))
    return found


def _fits(points: list[dict[str, Any]], measure: str) -> dict[str, Fit]:
    rows = _values(points, measure)
    return {name: fit_log(*zip(*row, strict=True)) for name, row in rows.items() if len(row) > 1}


def fits(points: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, per measure and set, the fit of w = alpha ln N + C; sets of one size have none."""
    return {
        measure: {name: asdict(fit) for name, fit in _fits(points, measure).items()} for measure in (LOSS, WIN_RATE)
    }
