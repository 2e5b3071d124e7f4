"""The command line. stdout carries what was asked for, stderr carries progress; exit codes are those of errors.py."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from askback.errors import AskbackError, InputError, Interrupted, RecipeError

if TYPE_CHECKING:
    from askback.config import RecipeFile

CORPUS_STEPS = ("segment", "dedup")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Instruction backtranslation: documents people wrote become instruction-tuning data and models.",
    epilog="Exit codes: 0 done, 1 error, 2 recipe or command line wrong, 3 bad input, 4 a step would output nothing, "
    "5 made with something else, 6 run folder in use, 7 disk full or not writable, 8 extra not installed, "
    "9 a worker died, 10 the judge is no better than chance, 130 interrupted.",
)

RecipePath = Annotated[
    Path, typer.Argument(help="A recipe file, or a name from `askback init --list`.", metavar="RECIPE")
]
RunPath = Annotated[Path, typer.Argument(help="A run folder, as in runs/demo.", metavar="RUN")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Change one value: --set recipe.rounds=1", metavar="KEY=VALUE")
]
Redo = Annotated[
    list[str] | None, typer.Option(help="Make this step again, and all that follows from it.", metavar="STEP")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Name of the run, also of its folder.")] = "my-run",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("recipe.yaml"),
    list: Annotated[bool, typer.Option("--list", help="List the recipes that come with askback.")] = False,
) -> None:
    """Write a commented recipe to edit."""
    if list:
        for path in sorted(_recipes().glob("*.yaml")):
            typer.echo(f"{path.stem:12} {path.read_text('utf-8').splitlines()[0].lstrip('# ')}")
        return
    from askback.config import NAME

    if not re.fullmatch(NAME, name):
        raise RecipeError(
            f"{name}: not a name for a run; use letters, digits, '.', '_' and '-', a letter or digit first"
        )
    if out.exists():
        raise InputError(f"{out}: exists already. Give another file with --out, or edit this one.")
    template = (_recipes() / "template.yaml").read_text("utf-8")
    out.write_text(template.replace("name: my-run", f"name: {json.dumps(name)}", 1), "utf-8")
    typer.echo(f"Wrote {out}. Edit it, then: askback plan {out}")


@app.command()
def plan(recipe: RecipePath, set: Set = None, as_json: Json = False) -> None:
    """Check a recipe and show its steps, records, tokens and time. Runs nothing and loads no model."""
    from askback.plan import Plan
    from askback.report.terminal import show_plan

    looked = Plan(_load(recipe, set))
    if as_json:
        typer.echo(json.dumps(looked.as_json(), indent=2))
    else:
        show_plan(looked, _console())
        typer.echo(f"\nNext: askback run {recipe}")
    if any(step.state == "changed" for step in looked.steps):
        looked.drift()


@app.command()
def corpus(
    recipe: RecipePath,
    set: Set = None,
    redo: Redo = None,
    explain: Annotated[
        Path | None,
        typer.Option(help="Show what the rules make of one HTML, Markdown, text or rst file.", metavar="FILE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make only the segments of a recipe, in its run folder, and show what was dropped. With --explain, make nothing."""
    file = _load(recipe, set)
    if explain is not None:
        _explain(file, explain, as_json)
        return
    from askback.backtranslation import make_corpus
    from askback.report.read import funnel
    from askback.report.terminal import show_funnel

    folder = _run(file, redo or [], None, make_corpus)
    if as_json:
        stages = [asdict(stage) for stage in funnel(folder) if stage.step in CORPUS_STEPS]
        typer.echo(json.dumps(stages, indent=2))
        return
    show_funnel(folder, _console(), CORPUS_STEPS)
    typer.echo(f"\nRun folder: {folder}\nNext: askback run {recipe}")


@app.command()
def run(
    recipe: RecipePath,
    set: Set = None,
    redo: Redo = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Take over finished steps that are the same from this run.", metavar="RUN"),
    ] = None,
) -> None:
    """Run a recipe, or go on with it. Ctrl-C finishes what is in flight and saves; the same command goes on."""
    folder = _run(_load(recipe, set), redo or [], source)
    _closing(folder)
    typer.echo(f"\nRun folder: {folder}\nNext: askback export {folder} --out data/{folder.name}")


@app.command()
def status(run: RunPath, as_json: Json = False) -> None:
    """Show what is done, what is left, rates and why records were dropped."""
    from askback.plan import Plan, PlannedStep
    from askback.recipe_file import load_recipe
    from askback.report.read import finished, progress
    from askback.report.terminal import show_funnel, show_losses, show_status

    run = run.resolve()
    done = finished(run)
    file = load_recipe(run / "recipe.yaml")
    here = file.resources.model_copy(update={"runs": str(run.parent)})
    try:
        steps = Plan(file.model_copy(update={"name": run.name, "resources": here})).steps
    except InputError as error:
        typer.echo(f"What is left cannot be told, as the inputs are not here: {error}", err=True)
        steps = [PlannedStep(step["step"], "done", frozenset()) for step in done]
    if as_json:
        typer.echo(
            json.dumps({"steps": [progress(run, step.name, step.state) for step in steps], "finished": done}, indent=2)
        )
        return
    show_status(run, steps, _console())
    show_funnel(run, _console())
    show_losses(run, _console())


@app.command()
def export(
    run: RunPath,
    out: Annotated[Path, typer.Option(help="Folder to write; datasets.load_dataset reads it.")],
    format: Annotated[str, typer.Option(help="messages, sharegpt, alpaca or prompt-completion.")] = "messages",
    file_type: Annotated[str, typer.Option(help="parquet or jsonl.")] = "parquet",
    with_seed: Annotated[bool, typer.Option("--with-seed", help="Add the seed pairs that were trained on.")] = False,
) -> None:
    """Write the chosen pairs as a data set with card, licences and checksums."""
    from askback.export import export

    if file_type not in ("parquet", "jsonl"):
        raise RecipeError(f"--file-type {file_type}: allowed are parquet and jsonl")
    count = export(run, out, format, file_type, with_seed)
    typer.echo(f"{count:,} pairs in {out}\nLoad them: datasets.load_dataset({str(out)!r})")


@app.command()
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
    from askback.calibration import calibrate, scorers_named
    from askback.config import Labels
    from askback.report.calibrate import show_calibration

    file, found = _load(recipe, set), []
    options, rated = scorers_named(file.recipe.score, scorers), Labels(path=str(labels)) if labels else None
    _run(file, [], None, lambda _, run: found.append(calibrate(file, run, options, model, rated)))
    (folder,) = found
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    if as_json:
        typer.echo(json.dumps(metrics, indent=2))
    else:
        show_calibration(folder, metrics, _console())


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the exported data set.")] = Path("data/demo"),
) -> None:
    """Run the whole loop, small: the documentation on this machine, a bundled seed, the embedded model."""
    from askback.export import export
    from askback.recipe_file import load_recipe
    from askback.report.terminal import show_pairs

    folder = _run(load_recipe(_recipes() / "demo.yaml"), [], None)
    count = export(folder, out)
    show_pairs(folder, _console())
    _closing(folder)
    typer.echo(
        f"\nRun folder:  {folder}\nData set:    {out}  ({count:,} pairs; datasets.load_dataset({str(out)!r}))\n"
        f"\nNext:  askback status {folder}\n"
        "       askback init my-run        # a recipe for your own documents and seed pairs\n"
        "       askback plan recipe.yaml"
    )


@app.command()
def models(
    fetch: Annotated[str | None, typer.Option(help="Fetch this model now.", metavar="NAME")] = None,
    as_json: Json = False,
) -> None:
    """List the models that come with askback, or fetch one."""
    from askback import builtin

    if fetch:
        if builtin.cached(fetch) is None:
            typer.echo(f"Fetching {fetch}, about 100 MB, and unpacking it: half a minute or so.", err=True)
        typer.echo(f"{fetch}: {builtin.fetch(fetch)}")
        return
    rows = [
        {"name": f"builtin:{name}", "licence": model.licence, "parameters": model.parameters}
        | {"description": model.description, "folder": str(builtin.cached(name) or "")}
        for name, model in builtin.BUILTIN.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['name']}  {row['licence']}  {row['description']}\n  {row['folder'] or 'not fetched yet'}")


def main() -> None:
    """Run the command line; every error a user can meet is one message and an exit code."""
    try:
        app(standalone_mode=True)
    except AskbackError as error:
        said = str(error) if isinstance(error, Interrupted) else f"error: {error}"
        print(said, file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(7) from None


def _recipes() -> Path:
    """Return the folder of shipped recipes: inside the installed package, or beside `src` in a checkout."""
    here = Path(__file__).parent
    return next(folder for folder in (here / "recipes", here.parents[1] / "recipes") if folder.is_dir())


def _load(recipe: Path, set: list[str] | None) -> "RecipeFile":
    from askback.recipe_file import load_recipe

    shipped = _recipes() / f"{recipe}.yaml"
    named = len(recipe.parts) == 1 and not recipe.suffix and not recipe.is_file() and shipped.exists()
    return load_recipe(shipped if named else recipe, set)


def _run(
    file: "RecipeFile", redo_steps: list[str], source: Path | None, page: Callable[..., Any] | None = None
) -> Path:
    """Check everything that can be checked, then run the page (by default the whole loop); return the run folder."""
    from askback.backtranslation import backtranslate
    from askback.execution.progress import Progress
    from askback.execution.run import Run, redo
    from askback.lookup import nearest
    from askback.plan import Plan

    names = [step.name for step in Plan(file, forecast=False).steps]
    for name in redo_steps:
        if name not in names:
            raise RecipeError(f"--redo {name}: no such step; allowed: {', '.join(names)}.{nearest(name, names)}")
    if source is not None and not (source / "recipe.yaml").exists():
        raise InputError(f"--from {source}: not a run folder (it has no recipe.yaml)")
    with Run(file, Progress(), source) as run:
        for name in redo_steps:
            gone = redo(run.folder, name, Plan(file, forecast=False).dependants(name))
            run.progress.say(f"--redo {name}: making again {', '.join(gone) or 'nothing, as it was not made yet'}")
        try:
            run.begin()
            (page or backtranslate)(file.recipe, run)
        except KeyboardInterrupt:
            raise Interrupted("stopped at once; what was in flight is lost, all else is saved.") from None
    return run.folder


def _explain(file: "RecipeFile", path: Path, as_json: bool) -> None:
    from askback.corpus.explain import explain
    from askback.report.explain import show_explanation

    found = explain(path, file.recipe.corpus)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        show_explanation(found, _console())


def _closing(folder: Path) -> None:
    from askback.report.terminal import show_funnel, show_losses

    show_funnel(folder, _console())
    show_losses(folder, _console())


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)
