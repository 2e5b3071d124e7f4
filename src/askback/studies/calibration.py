"""The quality of a judge, measured on held-out pairs, true and damaged, and on pairs that a user has rated.

Its steps are in a folder inside the run, ``calibrate/MARK``, where the mark is a hash of the identities of its steps, so
that calibrations do not overwrite each other.
"""

import itertools
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Never

from askback.curate.judge_figures import measure
from askback.curate.label_file import pair_of
from askback.curate.labels import load_labels
from askback.curate.score import score
from askback.curate.teach import make_probes, teach_judge
from askback.curate.teach_probe import measure_learning, taught_before, taught_pairs, teach_probe
from askback.errors import InputError, RecipeError
from askback.execution.identity import Model, asked, base_model, fingerprint, identify, trained_model
from askback.execution.on_disk import made_by, step_record
from askback.execution.run import Steps
from askback.execution.shards import Records, write_json
from askback.lookup import nearest
from askback.methods import names
from askback.recipe import Labels, Recipe, RecipeFile, Score
from askback.recipe.names import scorer, scorers
from askback.records import Example, Judgement, record_id
from askback.seed.load import load_seed


def calibrate(file: RecipeFile, run: Steps, options: Score, judge: str = "", labels: Labels | None = None) -> Path:
    """Measure every scorer of `options` with a judge model, and return the folder with ``metrics.json``.

    Args:
        judge: a model of the run ("m0"), "base", or a model folder; by default M_0 if the run has it, else the base.

    Raises:
        InputError: there is no such model, or the labels cannot be read.
        RecipeError: the recipe has no seed pairs.
    """
    recipe, runs = file.recipe, Path(file.resources.runs) / file.name
    if not recipe.seed.sources:
        raise RecipeError(
            "calibrate measures the judge on held-out pairs that people wrote; give some under recipe.seed"
        )
    base = run.base()
    model = _judge_model(runs, base, judge)
    seed = run.step(names.SEED, load_seed, recipe.seed)
    asking = asked(score, {"model": model}, file.resources)
    answering = asking["model"]
    assert isinstance(answering, Model)
    identities = [
        *_identities_of_teaching(file, options, seed, answering),
        identify("probes", make_probes, recipe.judge.probing(), {"seed": seed}, file),
        identify("score", score, options.asked(), asking, file),
        *([identify("labels", load_labels, labels, {}, file)] if labels else []),
    ]
    at = f"calibrate/{record_id(*map(fingerprint, identities))[:8]}"
    sets = {"probes": run.step(f"{at}/probes", make_probes, recipe.judge.probing(), seed=seed)}
    if labels:
        sets["labels"] = run.step(f"{at}/labels", load_labels, labels)
    taught, curve = _taught(run, at, recipe, options, model, seed, labels)
    judged: dict[str, list[Records[Judgement]]] = {}
    for name, (what, records) in itertools.product(options.scorers, sets.items()):
        alone, by = options.asked().model_copy(update={"scorers": [name]}), taught if name == "probe" else None
        judged.setdefault(name, []).append(
            run.step(f"{at}/{name}-{what}", score, alone, model=model, candidates=records, taught=by)
        )
    # What taught the judge does not measure it.
    learnt = taught_pairs(recipe.judge.labels if _teaches(options) else "", labels.path if labels else "")
    probes = [one for records in sets.values() for one in records if pair_of(one.messages) not in learnt]
    measured = {probe.id for probe in probes}
    judgements = [one for parts in judged.values() for part in parts for one in part if one.candidate_id in measured]
    metrics = measure(probes, judgements, recipe.select.weights, recipe.random_seed)
    for asked_of, parts in judged.items():
        metrics["scorers"][asked_of]["seconds_per_1000"] = _cost(parts, sum(map(len, sets.values())))
    kinds = recipe.judge.kinds if recipe.judge.examples != "none" and runs in answering.path.parents else []
    write_json(runs / at / "metrics.json", {"model": answering.id, "taught": kinds, "curve": curve, **metrics})
    return runs / at


def _teaches(options: Score) -> bool:
    return "probe" in options.scorers and not options.probe


def _identities_of_teaching(
    file: RecipeFile, options: Score, seed: Records[Example], model: Model
) -> list[dict[str, Any]]:
    if not _teaches(options):
        return []
    return [
        identify("teach", teach_judge, file.recipe.judge.teaching(), {"seed": seed}, file),
        identify("teach-probe", teach_probe, file.recipe.teaching_probe, {"model": model}, file),
    ]


def _taught(
    run: Steps, at: str, recipe: Recipe, options: Score, model: Model, seed: Records[Example], labels: Labels | None
) -> tuple[Records[Never] | None, list[dict[str, Any]]]:
    """Return the judge of the scorer `probe`, if it is measured, and its learning curve by the labels."""
    if "probe" not in options.scorers or options.probe:
        return (taught_before(options.probe) if "probe" in options.scorers else None), []
    by = recipe.teaching_probe
    lessons = [run.step(f"{at}/teach", teach_judge, recipe.judge.teaching(), seed=seed)]
    taught = run.step(f"{at}/teach-probe", teach_probe, by, model=model, lessons=lessons)
    if labels is None:
        return taught, []
    by = by.model_copy(update={"labels": labels.path})
    learning = run.step(f"{at}/learning", measure_learning, by, model=model, lessons=lessons)
    curve: list[dict[str, Any]] = step_record(learning.folder)["metrics"]["curve"]
    return taught, curve


def scorers_named(options: Score, names: str) -> Score:
    """Return the scoring options with other scorers: names with commas, "all" whose packages are here, or "" for its own.

    Raises:
        RecipeError: there is no such scorer.
    """
    if not names:
        return options
    known = scorers()
    if names == "all":
        wanted = [name for name in known if not (needs := scorer(name).needs) or find_spec(needs[0])]
    else:
        wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in known:
            raise RecipeError(f"--scorers {name}: allowed are all, {', '.join(known)}.{nearest(name, known)}")
    return options.model_copy(update={"scorers": wanted})


def _judge_model(run: Path, base: Model, judge: str) -> Model:
    m0 = names.model(0)
    name = judge or (m0 if (run / m0 / "step.json").exists() else names.BASE)
    if name == names.BASE:
        return base
    record = run / name / "step.json"
    if record.exists() and (run / name / "model").is_dir():
        mark = made_by(record.parent)
        return trained_model(run / name, name, mark)
    if Path(judge).is_dir():
        return base_model(judge, "", Path(judge))
    raise InputError(f"--model {judge}: neither a model of {run} that is trained, nor 'base', nor a model folder")


def _cost(parts: Iterable[Records[Judgement]], pairs: int) -> float:
    records = [step_record(part.folder) for part in parts]
    return float(round(1000 * sum(record["seconds"] for record in records) / max(1, pairs), 1))
