"""The commands about a run's results: export, report, calibrate, evaluate, study."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from askback.cli.shared import (
    Json,
    Limit,
    MaxHours,
    MaxTokens,
    MaxUsd,
    RecipePath,
    RunPath,
    Set,
    console,
    listed,
    load,
    stopping,
)
from askback.errors import RecipeError

if TYPE_CHECKING:
    from askback.export import FormatName
    from askback.recipe import EngineOptions, SeedSource

JudgeUrl = Annotated[
    str, typer.Option(help="URL of a server with OpenAI's protocol that judges, as https://host/v1.", metavar="URL")
]
JudgeModel = Annotated[str, typer.Option(help="The judge's name on that server, if it has several.", metavar="NAME")]
JudgeKeyEnv = Annotated[
    str, typer.Option(help="NAME of the environment variable that holds that server's key.", metavar="NAME")
]


def export(
    run: RunPath,
    out: Annotated[Path, typer.Option(help="Folder to write; datasets.load_dataset reads it.")],
    format: Annotated[
        str, typer.Option(help="Format of the rows, such as messages or alpaca; an unknown name lists all formats.")
    ] = "messages",
    file_type: Annotated[str, typer.Option(help="parquet or jsonl.")] = "parquet",
    with_seed: Annotated[bool, typer.Option("--with-seed", help="Add the seed pairs that were trained on.")] = False,
    validation: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the pairs in a validation split.")] = 0.0,
    push_to_hub: Annotated[
        str | None, typer.Option(help="Then upload it as this private data set, with your hub login.", metavar="NAME")
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
        list[Path], typer.Argument(help="Run folders, such as runs/demo; several are compared.", metavar="RUN…")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write; by default report.html in the first run.")] = None,
) -> None:
    """Write one HTML file with plots and pairs to read; it needs no network and opens on a phone."""
    from askback.report.html import write_report

    out = out or runs[0] / "report.html"
    write_report(runs, out)
    typer.echo(f"Wrote {out}")


def review(
    context: typer.Context,
    run: RunPath,
    by: Annotated[str, typer.Option("--as", help="Your name, which stands beside your labels.", metavar="NAME")] = "",
    pairs: Annotated[int, typer.Option(min=1, help="Number of pairs to ask about, the first of a queue.")] = 100,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes one that is free.")] = 0,
    labels: Annotated[
        Path | None, typer.Option(help="Serve no page; add the labels of this file to the run's.", metavar="FILE")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Serve no page; write the pairs to this file, to be labelled elsewhere.")
    ] = None,
    format: Annotated[str, typer.Option(help="Format of --out: argilla or label-studio.")] = "label-studio",
    as_json: Json = False,
) -> None:
    """Read a run's pairs on a page of this machine and say what you think; labels go to labels.jsonl in the run folder.

    The judge's score and choice are not shown before you have labelled a pair. At the end, and with --json at once, the
    number of labels is printed, and how far people agree.
    """
    from askback.curate.label_file import NAME, read_labels
    from askback.report.review_view import show_labels
    from askback.review import exchange, start
    from askback.studies.run_folder import finished

    if out:
        _refuse(context, ("by", "port", "labels", "as_json"), "not used with --out; leave it out")
        typer.echo(f"{exchange.write_out(run, out, format, pairs):,} pairs in {out}")
        return
    if labels:
        _refuse(context, ("pairs", "port", "format"), "not used with --labels; leave it out")
        typer.echo(f"{exchange.take_in(run, labels, _name(by)):,} labels added to {run / NAME}", err=as_json)
    elif as_json:
        _refuse(context, ("by", "pairs", "port", "format"), "not used with --json; leave it out")
        if not (run / NAME).exists():
            finished(run)  # refuses what is no run
    else:
        _refuse(context, ("format",), "only with --out")
        start(run, _name(by), pairs, port)
    found = read_labels(run / NAME).agreement()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_labels(run / NAME, found, console())


def _refuse(context: typer.Context, unused: Collection[str], why: str) -> None:
    """Raise a RecipeError if one of the parameters `unused` was given on the command line."""
    sources = {name: context.get_parameter_source(name) for name in unused}
    typed = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    given = [option.opts[0] for option in context.command.params if option.name in typed]
    if given:
        raise RecipeError(f"{', '.join(given)}: {why}")


def _name(given: str) -> str:
    """Return a person's name, by default that of this machine's user."""
    import getpass

    try:
        return given.strip() or getpass.getuser()
    except (KeyError, OSError):
        raise RecipeError(
            "This machine does not tell your name, which stands beside labels; give it with --as"
        ) from None


def calibrate(
    recipe: RecipePath,
    set: Set = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Pairs people rated or compared: a review's labels.jsonl, CSV, JSON or Parquet; rows of instruction, "
            "output, label, or of instruction, output_1, output_2, preference.",
            metavar="FILE",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Judge: m0, m1, …, base, or a model folder; by default m0 if there is one.")
    ] = "",
    scorers: Annotated[str, typer.Option(help="Scorers, with commas between, or all; by default the recipe's.")] = "",
    as_json: Json = False,
) -> None:
    """Measure the judge on held-out pairs, true and damaged, and on pairs that people have rated or compared."""
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
    with stopping(), Run(file, Progress()) as run:
        check(run, page_of(file.recipe))
        folder = calibrate(file, run, options, model, rated)
    metrics = read_json(folder / "metrics.json", dict[str, Any])
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
    else:
        show_calibration(folder, metrics, console())


def evaluate(
    context: typer.Context,
    run: RunPath,
    prompts: Annotated[
        list[str] | None,
        typer.Option(help="Prompt set to have answered and compared: a file, or held-out.", metavar="FILE"),
    ] = None,
    model: Annotated[str, typer.Option(help="Model of the run to evaluate; by default the result.")] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(help="Baseline: a model of the run, or a file of answers; by default m0.", metavar="MODEL"),
    ] = None,
    judge: Annotated[
        str, typer.Option(help="Model that compares the answers: one of the run's, a folder or a hub name.")
    ] = "base",
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    judge_key_env: JudgeKeyEnv = "",
    embedder: Annotated[
        str,
        typer.Option(
            help="Folder or package of a sentence-embedding model, to compare answers with references in meaning.",
            metavar="MODEL",
        ),
    ] = "",
    pairs: Annotated[
        list[str] | None, typer.Option(help="File of pairs to measure every model's loss on.", metavar="FILE")
    ] = None,
    pairs_format: Annotated[str, typer.Option(help="Format of --pairs, as in a recipe's seed.")] = "pairs",
    limit: Limit = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Largest number of tokens of an answer.")] = 512,
    benchmarks: Annotated[
        str, typer.Option(help="Tasks of lm-eval, with commas between; `paper` for the paper's.", metavar="TASKS")
    ] = "",
    few_shot: Annotated[
        int | None, typer.Option(min=0, help="Number of examples before each question of a benchmark.")
    ] = None,
    task_files: Annotated[str, typer.Option(help="Folder of your own lm-eval task files.", metavar="FOLDER")] = "",
    lm_eval_python: Annotated[
        str, typer.Option(help="Python of the environment that has lm-eval, if not this one.", metavar="PATH")
    ] = "",
    max_hours: MaxHours = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    as_json: Json = False,
) -> None:
    """Measure a run's models and data: held-out loss, win rates, data statistics, benchmarks."""
    from askback.evaluate.benchmarks import PAPER
    from askback.evaluate.options import Answering, Benchmarks, Questions
    from askback.execution.budget import Budget
    from askback.execution.on_disk import reading
    from askback.execution.progress import Progress
    from askback.report.evaluation_view import show_evaluation
    from askback.studies import evaluation

    tasks = list(PAPER) if benchmarks == "paper" else listed(benchmarks)
    if not prompts:
        of_prompts = ("against", "judge", "judge_url", "embedder", "limit", "max_new_tokens")
        _refuse(context, of_prompts, "only with --prompts")
    if not tasks:
        _refuse(context, ("few_shot", "task_files", "lm_eval_python"), "only with --benchmarks")
    if not pairs:
        _refuse(context, ("pairs_format",), "only with --pairs")
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
    with stopping():
        found = evaluation.evaluate(run, questions, Progress(), Budget(max_hours, max_tokens, max_usd))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    with reading(run / "evaluate/summary.json", "remove it"):
        show_evaluation(found, console())
    typer.echo(f"\nAll figures: {run / 'evaluate' / 'summary.json'}")


def study(
    recipe: Annotated[Path, typer.Argument(help="A recipe whose run is finished, or its folder.", metavar="RECIPE")],
    sets: Annotated[
        str,
        typer.Option(
            help="Sets: seed, curated, uncurated, random (of the same lengths), swapped (another's instruction), round-T, "
            "A_K (scores from K), FILE or FORMAT:FILE; seed+SET adds the whole seed."
        ),
    ] = "seed+curated,seed+random,seed+swapped",
    sizes: Annotated[str, typer.Option(help="Numbers of examples, with commas between; by default all curated.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Number of trainings of each set, each with another seed.")] = 3,
    contrasts: Annotated[
        str, typer.Option(help="Comparisons, as SET:SET,SET:SET; by default those the paper claims, and the controls.")
    ] = "",
    pairs: Annotated[
        list[str] | None,
        typer.Option(help="File of people's pairs to measure on too, as FILE or FORMAT:FILE.", metavar="FILE"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Optimiser steps of each training; by default the recipe's, or the paper's table."),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            help="Judge of the win rate against M_0, which is measured only with this or --judge-url.", metavar="MODEL"
        ),
    ] = "",
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    judge_key_env: JudgeKeyEnv = "",
    prompts: Annotated[str, typer.Option(help="Prompt set of the win rate: a file, or held-out.")] = "held-out",
    limit: Limit = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be trained and how long it takes; no more.")
    ] = False,
    max_hours: MaxHours = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    as_json: Json = False,
) -> None:
    """Train on each set with several seeds, at equal steps, and compare: does the data help, and what of it does?"""
    from askback.execution.budget import Budget
    from askback.execution.progress import Progress
    from askback.report.evaluation_view import show_study
    from askback.report.pictures import write_figures
    from askback.studies import study as studies

    folder = recipe
    if not (recipe / "recipe.yaml").is_file():
        file = load(recipe, None)
        folder = Path(file.resources.runs) / file.name
    wanted = studies.Study(
        sets=tuple(listed(sets)),
        sizes=_whole_numbers(sizes),
        seeds=seeds,
        contrasts=tuple(map(_contrast, listed(contrasts))),
        pairs=tuple(pairs or ()),
        steps=steps,
        judge=judge,
        prompts=prompts,
        limit=limit,
        judge_engine=_server(judge_url, judge_model, judge_key_env),
    )
    progress = Progress()
    progress.say(f"study: {studies.planned(folder, wanted)}")
    if plan:
        return
    with stopping():
        found = studies.study(folder, wanted, progress, Budget(max_hours, max_tokens, max_usd))
    figures = write_figures(folder / studies.FOLDER, found)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show_study(found, console())
    typer.echo(f"\nFigures: {', '.join(map(str, figures))}")


def _whole_numbers(sizes: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, listed(sizes)))
    except ValueError:
        raise RecipeError(f"--sizes {sizes}: expected whole numbers with commas between, as in 100,200,400") from None


def _contrast(text: str) -> tuple[str, str]:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise RecipeError(f"--contrasts {text}: expected SET:SET, as in seed+curated:seed+random")
    return first, second


def _source(path: str, format: str) -> "SeedSource":
    from pydantic import ValidationError

    from askback.recipe import SeedSource

    try:
        return SeedSource.model_validate({"path": path, "format": format, "split": "held-out"})
    except ValidationError as error:
        raise RecipeError(f"--pairs-format {format}: {error.errors()[0]['msg']}") from None


def _server(url: str, model: str, key_env: str) -> "EngineOptions | None":
    """Return the engine that the judge's options name, None if they name no server."""
    from pydantic import ValidationError

    from askback.recipe import EngineOptions

    if not url:
        if model or key_env:
            raise RecipeError("--judge-model and --judge-key-env need the server's --judge-url; or use --judge")
        return None
    try:
        return EngineOptions(kind="openai_http", url=url, model=model, api_key_env=key_env)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecipeError(f"--judge-url, --judge-key-env: {problem}") from None
