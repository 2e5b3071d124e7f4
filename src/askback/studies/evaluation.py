"""The evaluation of a run's models and data, as recorded steps in the folder `evaluate` of the run."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from askback.engines import kind_of
from askback.errors import RecipeError
from askback.evaluate.answers import held_out_prompts, read_baseline, read_prompts, write_answers, write_outputs
from askback.evaluate.benchmarks import run_benchmarks
from askback.evaluate.embedding import compare_meanings, model_folder
from askback.evaluate.loss import measure_loss
from askback.evaluate.options import (
    BaselineFile,
    Describing,
    Embedding,
    HeldOutPrompts,
    PromptFile,
    Questions,
    Referring,
)
from askback.evaluate.pairwise import WinRate, compare, win_rate
from askback.evaluate.rouge import compare_with_references
from askback.execution.budget import Budget
from askback.execution.on_disk import read_json, reading
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records, write_json
from askback.methods import names
from askback.recipe import SeedSource
from askback.records import Answer, EvalPrompt, Example, Loss
from askback.seed.load import load_pairs
from askback.studies.description import describe
from askback.studies.judging import asked_of, judging
from askback.studies.run_folder import RunFolder, look, metrics, side_by_side
from askback.studies.sides import HELD_OUT, compared, labels

M0 = names.model(0)
BY_MODEL = ("win_rates", "references", "similarities", "benchmarks")
"""Results of one model at a time, which stay in the summary while that model exists."""
FEW_PROMPTS = 100
"""Number of prompts below which a win rate near 50 has a standard error of over 5 points."""


def evaluate(
    folder: Path, questions: Questions, progress: Progress | None = None, budget: Budget | None = None
) -> dict[str, Any]:
    """Answer the questions; return all results so far, which are also in ``evaluate/summary.json``.

    Raises:
        RecipeError: the run has no such model, or the budget limits money and there is no price.
        InputError: this is no run folder, or a file is missing.
        BudgetReached: a limit is reached; the same call goes on.
    """
    made = look(folder)
    model = questions.model or made.result
    baselines = questions.against if questions.against is not None else tuple({M0}.intersection(made.models))
    if not model and (questions.prompts or questions.pairs or questions.benchmarks):
        raise RecipeError(
            f"{folder}: has no model to evaluate, as it trained none; without options, its data are described"
        )
    ours = [name for name in dict.fromkeys([model, *baselines]) if name and not Path(name).is_file()]
    for name in ours:
        made.model(name)
    found: dict[str, Any] = {kind: {} for kind in ("losses", *BY_MODEL)}
    with made.inside("evaluate", progress, questions.judge_engine, budget=budget) as run:
        for name in questions.prompts:
            _say_judging(name, len({*baselines} - {model}), questions, made, run)
        _check(questions, made, run)
        found["losses"][HELD_OUT] = compared(recorded_losses(made))
        called = labels({source.path: Path(source.path) for source in questions.pairs}, [HELD_OUT])
        for source in questions.pairs:
            found["losses"][called[source.path]] = compared(_losses_on(source, made, run))
        for name in questions.prompts:
            _answered(name, model, baselines, questions, made, run, found)
        for name in ours if questions.benchmarks else []:
            assert questions.benchmarks is not None
            tasks = side_by_side(
                run, f"benchmarks-{name}", run_benchmarks, questions.benchmarks, model=made.model(name)
            )
            row = {"model": name, "model_id": made.model(name).id, "tasks": metrics(tasks)}
            found["benchmarks"][tasks.folder.name] = row
        found["data"] = _described(questions, made, run)
        return _kept(run.folder / "summary.json", found, made)


def _check(questions: Questions, made: RunFolder, run: Run) -> None:
    """Read the files and find the models that are named, so that a mistake is found before anything is measured."""
    for source in questions.pairs:
        _pairs(source, made, run)
    for name in questions.prompts:
        _prompts(name, questions.limit, made, run)
    if questions.prompts:
        made.judge(questions.judge, run.file.resources.engine_for("compare"))
    if questions.embedder:
        model_folder(questions.embedder)


def recorded_losses(made: RunFolder) -> dict[str, list[Loss]]:
    """Return the held-out losses that the run itself measured, by model."""
    return {name: list(made.records(names.loss(name))) for name in made.models if names.loss(name) in made.steps}


def _pairs(source: SeedSource, made: RunFolder, run: Run) -> Records[Example]:
    return side_by_side(run, f"pairs-{plain(source.path)}", load_pairs, source, seed=made.records(names.SEED))


def _losses_on(source: SeedSource, made: RunFolder, run: Run) -> dict[str, list[Loss]]:
    name, pairs = plain(source.path), _pairs(source, made, run)
    options = made.file.recipe.evaluate.measuring.model_copy(update={"limit": None})
    return {
        who: list(side_by_side(run, f"loss-{name}-{who}", measure_loss, options, model=made.model(who), examples=pairs))
        for who in made.models
    }


def _described(questions: Questions, made: RunFolder, run: Run) -> dict[str, Any]:
    steps = {"seed": names.SEED, "candidates": names.CANDIDATES, "judgements": made.judged, "chosen": made.chosen}
    inputs = {key: made.records(name) for key, name in steps.items() if name in made.steps}
    options = Describing(prompts=tuple(name for name in questions.prompts if name != HELD_OUT))
    return metrics(side_by_side(run, "data", describe, options, **inputs))


def _say_judging(name: str, models: int, questions: Questions, made: RunFolder, run: Run) -> None:
    if models:
        asked, resources = asked_of(name, questions.limit, made), run.file.resources
        words = judging(asked, models, questions.answering.max_new_tokens, resources.engine_for("compare"), resources)
        run.progress.say(f"{name}: {words}")


def _answered(
    name: str,
    model: str,
    baselines: Sequence[str],
    questions: Questions,
    made: RunFolder,
    run: Run,
    found: dict[str, dict[str, Any]],
) -> None:
    """Let all models answer one prompt set; compare the answers with its references, and with each other."""
    prompts = _prompts(name, questions.limit, made, run)
    engine = run.file.resources.engine_for("compare")
    judge = made.judge(questions.judge, engine)
    judged_by = judge.id if kind_of(engine.kind).served else questions.judge
    answers = {
        who: _answers(who, plain(name), prompts, questions, made, run) for who in dict.fromkeys([model, *baselines])
    }
    ids = {who: next(iter(own)).model_id for who, own in answers.items()}
    for who, own in answers.items():
        if any(one.reference for one in prompts):
            row = {"model": Path(who).name, "model_id": ids[who], "prompts": Path(name).name}
            _against_references(row, f"{plain(who)}-{plain(name)}", prompts, own, questions.embedder, run, found)
        if who == model:
            continue
        compared = side_by_side(
            run,
            f"compare-{model}-{plain(who)}-{plain(name)}",
            compare,
            questions.judging,
            model=judge,
            prompts=prompts,
            answers=answers[model],
            baseline=own,
        )
        result = win_rate(compared)
        names = {"model": model, "baseline": Path(who).name, "prompts": Path(name).name, "judge": judged_by}
        verdict: dict[str, Any] = {
            **names,
            "model_id": ids[model],
            "baseline_id": ids[who],
            **asdict(result),
            "cautions": cautions(result, judged_by, (model, who), made),
        }
        found["win_rates"][compared.folder.name] = verdict


def _against_references(
    row: dict[str, Any],
    name: str,
    prompts: Records[EvalPrompt],
    answers: Records[Answer],
    embedder: str,
    run: Run,
    found: dict[str, dict[str, Any]],
) -> None:
    """Score answers against the references of their prompts: by words, and by meaning if there is an embedder."""
    scored = side_by_side(
        run, f"references-{name}", compare_with_references, Referring(), prompts=prompts, answers=answers
    )
    found["references"][scored.folder.name] = {**row, **metrics(scored)}
    if embedder:
        options = Embedding(model=embedder)
        near = side_by_side(run, f"meanings-{name}", compare_meanings, options, prompts=prompts, answers=answers)
        found["similarities"][near.folder.name] = {**row, "embedder": Path(embedder).name, **metrics(near)}


def _prompts(name: str, limit: int | None, made: RunFolder, run: Run) -> Records[EvalPrompt]:
    step = f"prompts-{plain(name)}"
    if name == HELD_OUT:
        return side_by_side(run, step, held_out_prompts, HeldOutPrompts(limit=limit), examples=made.records(names.SEED))
    return side_by_side(run, step, read_prompts, PromptFile(path=name, limit=limit))


def _answers(
    who: str, asked: str, prompts: Records[EvalPrompt], questions: Questions, made: RunFolder, run: Run
) -> Records[Answer]:
    """Return the answers of a model, written also as AlpacaEval's model_outputs, or those in a file."""
    step = f"answers-{plain(who)}-{asked}"
    if who not in made.models:
        return side_by_side(run, step, read_baseline, BaselineFile(path=who), prompts=prompts)
    options = questions.answering.model_copy(update={"quality": made.quality(who)})
    answers = side_by_side(run, step, write_answers, options, model=made.model(who), prompts=prompts)
    outputs = run.folder / "model_outputs"
    outputs.mkdir(exist_ok=True)
    alike = sum(plain(name) == asked for name in set(questions.prompts)) > 1
    stem = answers.folder.name.removeprefix("answers-") if alike else f"{who}-{asked}"
    write_outputs(outputs / f"{stem}.json", answers, f"{made.folder.name}-{who}")
    return answers


def cautions(result: WinRate, judge: str, compared: tuple[str, str], made: RunFolder) -> list[str]:
    """Return the reasons for caution with a win rate."""
    found = []
    if judge in made.models:
        own = " and judges its own answers" if judge in compared else ""
        found.append(f"the judge is a model of this run{own}: weak evidence")
    if result.total.prompts < FEW_PROMPTS:
        found.append(f"only {result.total.prompts} prompts")
    if result.total.unscored:
        found.append(f"{result.total.unscored} of {result.total.prompts} prompts unscored, each counted as half a win")
    if result.first_preferred is not None and abs(result.first_preferred - 50) > 10:
        found.append(
            f"the judge's preference for the answer it sees first is {result.first_preferred:.0f} % (50 is none)"
        )
    if result.mass is None and result.first_preferred is not None:
        found.append("the judge returns no log-probabilities, so its verdicts are parsed from text: each is 0 or 1")
    if result.mass is not None and result.mass < 0.5:
        found.append(f"the judge answers A or B at all with a probability of {result.mass:.2f} only")
    return found


def plain(name: str) -> str:
    """Return a file's name in characters fit for a folder's name."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", Path(name).name.split(".")[0])[:40].strip("-") or "file"


def _kept(path: Path, found: dict[str, Any], made: RunFolder) -> dict[str, Any]:
    """Add the results of earlier evaluations of models that still exist, and write the summary."""
    before = read_json(path, dict[str, Any]) if path.exists() else {}
    found |= {"run": made.folder.name, "models": {name: made.model(name).id for name in made.models}}
    with reading(path, "remove it"):
        for kind in BY_MODEL:
            rows = before.get(kind, {}).items()
            still = {step: row for step, row in rows if row["model_id"] in found["models"].values()}
            found[kind] = {**still, **found[kind]}
        if before.get("models") == found["models"]:
            found["losses"] = {**before["losses"], **found["losses"]}
    write_json(path, found)
    return found
