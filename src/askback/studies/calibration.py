"""The quality of a judge, measured on held-out pairs, true and damaged, and on pairs that a user has rated.

Its steps are in a folder inside the run, ``calibrate/MARK``, where the mark is a hash of the identities of its steps, so
that calibrations do not overwrite each other.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

from askback.curate.judge_figures import measure
from askback.curate.labels import load_labels
from askback.curate.score import score
from askback.curate.teach import make_probes
from askback.errors import InputError, RecipeError
from askback.execution.identity import Model, asked, base_model, fingerprint, identify, trained_model
from askback.execution.on_disk import made_by, step_record
from askback.execution.run import Steps
from askback.execution.shards import Records, write_json
from askback.lookup import nearest
from askback.methods import names
from askback.recipe import Labels, RecipeFile, Score
from askback.recipe.names import scorers
from askback.records import Judgement, Probe, record_id
from askback.seed.load import load_seed


def calibrate(file: RecipeFile, run: Steps, options: Score, judge: str = "", labels: Labels | None = None) -> Path:
    """Measure every scorer of `options` with a judge model, and return the folder with ``metrics.json``.

    Args:
        judge: a model of the run ("m0"), "base", or a model folder; by default M_0 if the run has it, else the base.

    Raises:
        InputError: there is no such model, or the labels cannot be read.
    """
    recipe, runs = file.recipe, Path(file.resources.runs) / file.name
    base = run.base()
    model = _judge_model(runs, base, judge)
    seed = run.step(names.SEED, load_seed, recipe.seed)
    asking = asked(score, {"model": model}, file.resources)
    answering = asking["model"]
    assert isinstance(answering, Model)
    identities = [
        identify("probes", make_probes, recipe.judge.probing(), {"seed": seed}, file),
        identify("score", score, options, asking, file),
        *([identify("labels", load_labels, labels, {}, file)] if labels else []),
    ]
    at = f"calibrate/{record_id(*map(fingerprint, identities))[:8]}"
    sets = {"probes": run.step(f"{at}/probes", make_probes, recipe.judge.probing(), seed=seed)}
    if labels:
        sets["labels"] = run.step(f"{at}/labels", load_labels, labels)
    judged: dict[str, list[Records[Judgement]]] = {}
    for name, (what, records) in itertools.product(options.scorers, sets.items()):
        alone = options.model_copy(update={"scorers": [name]})
        judged.setdefault(name, []).append(
            run.step(f"{at}/{name}-{what}", score, alone, model=model, candidates=records)
        )
    probes: list[Probe] = [probe for records in sets.values() for probe in records]
    judgements = [one for records in judged.values() for part in records for one in part]
    metrics = measure(probes, judgements, recipe.select.weights, recipe.random_seed)
    for scorer, parts in judged.items():
        metrics["scorers"][scorer]["seconds_per_1000"] = _cost(parts, len(probes))
    taught = recipe.judge.kinds if recipe.judge.examples != "none" and runs in answering.path.parents else []
    write_json(runs / at / "metrics.json", {"model": answering.id, "taught": taught, **metrics})
    return runs / at


def scorers_named(options: Score, names: str) -> Score:
    """Return the scoring options with other scorers: names with commas, "all", or "" for those it has.

    Raises:
        RecipeError: there is no such scorer.
    """
    if not names:
        return options
    known = scorers()
    wanted = list(known) if names == "all" else list(dict.fromkeys(name.strip() for name in names.split(",")))
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
