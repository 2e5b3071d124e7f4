"""The commands that look at what a run has made: export, report, calibrate, evaluate, scaling."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from askback.cli.shared import Json, RecipePath, RunPath, Set, console, load
from askback.errors import Interrupted, RecipeError

if TYPE_CHECKING:
    from askback.export import FormatName
    from askback.recipe import EngineOptions, SeedSource

JudgeUrl = Annotated[
    str, typer.Option(help="Let a server that speaks OpenAI's protocol judge, as at https://host/v1.", metavar="URL")
]
JudgeModel = Annotated[str, typer.Option(help="The judge's name on that server, if it has several.", metavar="NAME")]
JudgeKeyEnv = Annotated[
    str, typer.Option(help="NAME of the environment variable that holds that server's key.", metavar="NAME")
]


def export(
    run: RunPath,
    out: Annotated[Path, typer.Option(help="Folder to write; datasets.load_dataset reads it.")],
    format: Annotated[
        str, typer.Option(help="Form of the rows, as messages or alpaca; another word shows all there are.")
    ] = "messages",
    file_type: Annotated[str, typer.Option(help="parquet or jsonl.")] = "parquet",
    with_seed: Annotated[bool, typer.Option("--with-seed", help="Add the seed pairs that were trained on.")] = False,
    validation: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the pairs to hold out as a split.")] = 0.0,
    push_to_hub: Annotated[
        str | None, typer.Option(help="Then upload it as this (private) data set, by your hub login.", metavar="NAME")
    ] = None,
) -> None:
    """Write the chosen pairs as a data set with card, licences and checksums."""
    from askback.export import export

    if file_type not in ("parquet", "jsonl"):
        raise RecipeError(f"--file-type {file_type}: allowed are parquet and jsonl")
    count = export(run, out, cast("FormatName", format), file_type, with_seed, validation)
    typer.echo(f"{count:,} pairs in {out}\nLoad them: datasets.load_dataset({str(out)!r})")
    if push_to_hub:
        from askback.export.hub import push

        typer.echo(f"Pushed to {push(out, push_to_hub)}")


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, as in runs/demo; several are compared.", metavar="RUN…")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write; by default report.html in the first run.")] = None,
) -> None:
    """Write one HTML file with plots and pairs to read; it needs no network and opens on a phone."""
    from askback.report.html import write_report

    out = out or runs[0] / "report.html"
    write_report(runs, out)
    typer.echo(f"Wrote {out}")


def calibrate(
    recipe: RecipePath,
    set: Set = None,
    labels: Annotated[
        Path | None, typer.Option(help="Pairs you have rated: rows of instruction, output, label.", metavar="FILE")
    ] = None,
    model: Annotated[str, typer.Option(help="m0, m1, …, base, or a model folder; by default m0 if there is one.")] = "",
    scorers: Annotated[str, typer.Option(help="Names with commas, or all; by default the recipe's.")] = "",
    as_json: Json = False,
) -> None:
    """Try the judge on held-out pairs, true and damaged, and on pairs you have rated."""
    from askback.execution.on_disk import read_json
    from askback.execution.progress import Progress
    from askback.execution.run import Run
    from askback.methods import page_of
    from askback.plan.running import check
    from askback.recipe import Labels
    from askback.report.calibration_view import show_calibration
    from askback.studies.calibration import calibrate, scorers_named

    file = load(recipe, set)
    options, rated = scorers_named(file.recipe.score, scorers), Labels(path=str(labels)) if labels else None
    try:
        with Run(file, Progress()) as run:
            check(run, page_of(file.recipe))
            folder = calibrate(file, run, options, model, rated)
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; what was in flight is lost, all else is saved.") from None
    metrics = read_json(folder / "metrics.json", dict[str, Any])
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
    else:
        show_calibration(folder, metrics, console())


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder, as in runs/demo.", metavar="RUN")],
    prompts: Annotated[
        list[str] | None,
        typer.Option(help="Have this prompt set answered and compared: a file, or held-out.", metavar="FILE"),
    ] = None,
    model: Annotated[str, typer.Option(help="The model to look at; the run's result unless given.")] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare it with this model of the run, or with the answers in this file; m0, if trained, unless given.",
            metavar="MODEL",
        ),
    ] = None,
    judge: Annotated[
        str, typer.Option(help="The model that compares answers: one of the run's, a folder or a hub name.")
    ] = "base",
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    judge_key_env: JudgeKeyEnv = "",
    embedder: Annotated[
        str,
        typer.Option(
            help="Compare answers with references in meaning too: a sentence-embedding model's folder or package.",
            metavar="MODEL",
        ),
    ] = "",
    pairs: Annotated[
        list[str] | None,
        typer.Option(help="Measure the loss of every model on this file of pairs too.", metavar="FILE"),
    ] = None,
    pairs_format: Annotated[str, typer.Option(help="Format of --pairs, as in a recipe's seed.")] = "pairs",
    limit: Annotated[int | None, typer.Option(min=1, help="Most prompts to take of a set.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 512,
    benchmarks: Annotated[
        str, typer.Option(help="Tasks of lm-eval, with commas between; `paper` for the paper's.", metavar="TASKS")
    ] = "",
    few_shot: Annotated[int | None, typer.Option(min=0, help="Examples before each question of a benchmark.")] = None,
    task_files: Annotated[str, typer.Option(help="Folder of lm-eval task files of your own.", metavar="FOLDER")] = "",
    lm_eval_python: Annotated[
        str, typer.Option(help="The Python that has lm-eval, if it is another one.", metavar="PATH")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Measure what a run is worth: held-out loss, win rates, data statistics, benchmarks."""
    from askback.evaluate.benchmarks import PAPER
    from askback.evaluate.options import Answering, Benchmarks, Questions
    from askback.execution.on_disk import reading
    from askback.execution.progress import Progress
    from askback.report.evaluation_view import show_evaluation
    from askback.studies import evaluation

    tasks = list(PAPER) if benchmarks == "paper" else [task.strip() for task in benchmarks.split(",") if task.strip()]
    wanted = (
        Benchmarks(tasks=tasks, few_shot=few_shot, include_path=task_files, python=lm_eval_python) if tasks else None
    )
    questions = Questions(
        model=model,
        against=tuple(against) if against else None,
        judge=judge,
        judge_engine=_server(judge_url, judge_model, judge_key_env),
        prompts=tuple(prompts or ()),
        pairs=tuple(_source(path, pairs_format) for path in pairs or ()),
        limit=limit,
        embedder=embedder,
        answering=Answering(max_new_tokens=max_new_tokens),
        benchmarks=wanted,
    )
    try:
        found = evaluation.evaluate(run, questions, Progress())
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; what was in flight is lost, all else is saved.") from None
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    with reading(run / "evaluate/summary.json", "remove it"):
        show_evaluation(found, console())
    typer.echo(f"\nAll of it: {run / 'evaluate' / 'summary.json'}")


def scaling(
    recipe: Annotated[Path, typer.Argument(help="A recipe whose run is made, or its run folder.", metavar="RECIPE")],
    sizes: Annotated[str, typer.Option(help="Numbers of examples, with commas between.")] = "100,200,400",
    sets: Annotated[
        str,
        typer.Option(
            help="Of curated, uncurated, seed and FORMAT:FILE, as in alpaca:a.json; seed+SET adds the whole seed to each."
        ),
    ] = "curated,uncurated,seed",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Of every training; the recipe's, or the paper's for the size, unless given."),
    ] = None,
    judge: Annotated[
        str, typer.Option(help="Measure the win rate against M_0 as well, by this judge.", metavar="MODEL")
    ] = "",
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    judge_key_env: JudgeKeyEnv = "",
    prompts: Annotated[str, typer.Option(help="Prompt set of the win rate: a file, or held-out.")] = "held-out",
    limit: Annotated[int | None, typer.Option(min=1, help="Most prompts to take.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Train on growing parts of each set, at equal steps, and fit how the outcome grows with the data."""
    from askback.execution.progress import Progress
    from askback.report.evaluation_view import show_scaling
    from askback.report.pictures import write_curves
    from askback.studies.scaling import Scaling, scale

    try:
        numbers = tuple(int(size) for size in sizes.split(",") if size.strip())
    except ValueError:
        raise RecipeError(f"--sizes {sizes}: expected whole numbers with commas between, as in 100,200,400") from None
    folder = recipe
    if not (recipe / "recipe.yaml").is_file():
        file = load(recipe, None)
        folder = Path(file.resources.runs) / file.name
    names = tuple(name.strip() for name in sets.split(",") if name.strip())
    try:
        judge_engine = _server(judge_url, judge_model, judge_key_env)
        found = scale(folder, Scaling(numbers, names, judge, prompts, limit, steps, judge_engine), Progress())
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; what was in flight is lost, all else is saved.") from None
    curves = write_curves(folder / "scaling", found)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show_scaling(found, console())
    typer.echo(f"\nCurves: {', '.join(map(str, curves))}")


def _source(path: str, format: str) -> "SeedSource":
    from pydantic import ValidationError

    from askback.recipe import SeedSource

    try:
        return SeedSource.model_validate({"path": path, "format": format, "split": "held-out"})
    except ValidationError as error:
        raise RecipeError(f"--pairs-format {format}: {error.errors()[0]['msg']}") from None


def _server(url: str, model: str, key_env: str) -> "EngineOptions | None":
    """Return the engine of the judge's options, None if they name no server."""
    from pydantic import ValidationError

    from askback.recipe import EngineOptions

    if not url:
        if model or key_env:
            raise RecipeError("--judge-model and --judge-key-env are of a server: give its --judge-url, or use --judge")
        return None
    try:
        return EngineOptions(kind="openai_http", url=url, model=model, api_key_env=key_env)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecipeError(f"--judge-url, --judge-key-env: {problem}") from None
