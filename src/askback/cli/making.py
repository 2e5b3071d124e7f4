"""The commands around a run: init, plan, corpus, run, join, status, demo, models."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from askback import owned
from askback.cli.shared import Json, RecipePath, Redo, RunPath, Set, closing, console, load, recipes
from askback.errors import InputError, Interrupted, RecipeError

if TYPE_CHECKING:
    from askback.recipe import RecipeFile


def init(
    name: Annotated[str, typer.Argument(help="Name of the run and of its folder.")] = "my-run",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("recipe.yaml"),
    list: Annotated[bool, typer.Option("--list", help="List the recipes that come with askback.")] = False,
) -> None:
    """Write a commented recipe to edit."""
    if list:
        for path in sorted(recipes().glob("*.yaml")):
            typer.echo(f"{path.stem:12} {path.read_text('utf-8').splitlines()[0].lstrip('# ')}")
        return
    from askback.recipe import NAME

    if not re.fullmatch(NAME, name):
        raise RecipeError(
            f"{name}: not a name for a run; use letters, digits, '.', '_' and '-', a letter or digit first"
        )
    template = (recipes() / "template.yaml").read_text("utf-8")
    owned.create(out, template.replace("name: my-run", f"name: {json.dumps(name)}", 1))
    typer.echo(f"Wrote {out}. Edit it, then: askback plan {out}")


def plan(
    recipe: RecipePath,
    set: Set = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Test whether the recipe's servers answer what the run will ask.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the base model's speed on this machine first, for a minute.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option("--from", help="Estimate times from the speed of this run's steps.", metavar="RUN")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a recipe and show its steps, records, tokens, time, disk and, where the recipe gives prices, money.

    Runs nothing, and loads no model without --measure, which saves the measured speeds in the run folder.
    """
    from askback.plan import Plan
    from askback.plan.servers import ROLES, ask_servers
    from askback.report.terminal import show_plan

    looked = Plan(load(recipe, set), source=source)
    if measure:
        typer.echo("Measuring the base model's speed on this machine: about a minute.", err=True)
        looked.measure()
    for offer in ask_servers(looked.file, (*ROLES, "compare")) if probe else []:
        for line in (offer.description, *looked.check_offer(offer)):
            typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps(looked.as_json(), indent=2))
    else:
        show_plan(looked, console())
        if not looked.refusals.found:
            typer.echo(f"\nNext: askback run {recipe}")
    looked.refusals.refuse()
    looked.drift()


def corpus(
    recipe: RecipePath,
    set: Set = None,
    redo: Redo = None,
    explain: Annotated[
        Path | None,
        typer.Option(help="Show how the rules treat one HTML, Markdown, text, rst or PDF file.", metavar="FILE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make only the segments of a recipe, in its run folder, and show which were dropped. With --explain, make nothing."""
    file = load(recipe, set)
    if explain is not None:
        _explain(file, explain, as_json)
        return
    from askback.execution.progress import Progress
    from askback.methods.humpback import make_corpus
    from askback.methods.names import CORPUS_STEPS
    from askback.plan import running
    from askback.report.terminal import show_funnel
    from askback.studies.summary import funnel

    folder = running.run(file, make_corpus, redo or (), progress=Progress())
    if as_json:
        stages = [asdict(stage) for stage in funnel(folder) if stage.step in CORPUS_STEPS]
        typer.echo(json.dumps(stages, indent=2))
        return
    show_funnel(folder, console(), CORPUS_STEPS)
    typer.echo(f"\nRun folder: {folder}\nNext: askback run {recipe}")


def run(
    recipe: RecipePath,
    set: Set = None,
    redo: Redo = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take over identical finished steps from this run.", metavar="RUN")
    ] = None,
    max_hours: Annotated[float | None, typer.Option(min=0, help="Hours of work after which the run stops.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens read, written and trained on after which the run stops.")
    ] = None,
    max_usd: Annotated[
        float | None, typer.Option(min=0, help="US dollars, by the recipe's prices, after which the run stops.")
    ] = None,
) -> None:
    """Run a recipe, or resume it. Ctrl-C finishes the work in flight and saves; the same command resumes the run.

    Limits count all attempts together. Reaching one stops the run as Ctrl-C does, with exit code 11.
    """
    from askback.execution.budget import Budget
    from askback.execution.progress import Progress
    from askback.plan import running

    budget = Budget(max_hours, max_tokens, max_usd)
    folder = running.run(load(recipe, set), None, redo or (), source, Progress(), budget)
    closing(folder)
    typer.echo(f"\nRun folder: {folder}\nNext: askback export {folder} --out data/{folder.name}")


def join(
    run: RunPath,
    node: Annotated[
        int, typer.Option(min=1, help="This node's number; the node that runs the recipe is 0.", metavar="N")
    ],
) -> None:
    """Take part, on another node, in the trainings of a run with `resources.training.nodes`, until the run is done."""
    from askback.train.launch import join as take_part

    try:
        take_part(run, node, lambda line: typer.echo(line, err=True))
    except KeyboardInterrupt:
        raise Interrupted("left the run; the same command joins it again.") from None


def status(run: RunPath, as_json: Json = False) -> None:
    """Show the steps that are done and left, their forecast and actual cost, and why records were dropped."""
    from askback.execution.budget import spent_by
    from askback.plan import Plan, PlannedStep
    from askback.recipe.file import load_recipe
    from askback.report.terminal import show_funnel, show_losses, show_scores, show_status
    from askback.studies.run_folder import finished
    from askback.studies.summary import forecast, progress

    run = run.resolve()
    done = finished(run)
    file = load_recipe(run / "recipe.yaml", unset=True)
    here = file.resources.model_copy(update={"runs": str(run.parent)})
    try:
        steps = Plan(file.model_copy(update={"name": run.name, "resources": here})).steps
    except InputError as error:
        typer.echo(f"The remaining steps are unknown, as the inputs are not here: {error}", err=True)
        steps = [PlannedStep(step["step"], "done", frozenset()) for step in done]
    if as_json:
        shown = [progress(run, step.name, step.state) | {"forecast": forecast(run, step.name)} for step in steps]
        spent = asdict(spent_by(run))
        typer.echo(json.dumps({"steps": shown, "spent": spent, "finished": done}, indent=2))
        return
    show_status(run, steps, console())
    show_funnel(run, console())
    show_scores(run, console())
    show_losses(run, console())


def demo(out: Annotated[Path, typer.Option(help="Folder for the exported data set.")] = Path("data/demo")) -> None:
    """Run a small example of the whole loop: this machine's documentation, a bundled seed, the embedded model."""
    from askback.execution.progress import Progress
    from askback.export import check_out, export
    from askback.plan import running
    from askback.recipe.file import load_recipe
    from askback.report.terminal import show_pairs

    file = load_recipe(recipes() / "demo.yaml")
    check_out(Path(file.resources.runs) / file.name, out)  # not after ten minutes
    folder = running.run(file, progress=Progress())
    count = export(folder, out)
    show_pairs(folder, console())
    closing(folder)
    typer.echo(
        f"\nRun folder:  {folder}\nData set:    {out}  ({count:,} pairs; datasets.load_dataset({str(out)!r}))\n"
        f"\nNext:  askback status {folder}\n"
        "       askback init my-run        # a recipe for your own documents and seed pairs\n"
        "       askback plan recipe.yaml"
    )


def models(
    fetch: Annotated[str | None, typer.Option(help="Download this model now.", metavar="NAME")] = None,
    as_json: Json = False,
) -> None:
    """List the models that come with askback, or download one."""
    from askback.models import builtin

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


def _explain(file: "RecipeFile", path: Path, as_json: bool) -> None:
    from askback.corpus.explain import explain
    from askback.report.explanation_view import show_explanation

    found = explain(path, file.recipe.corpus)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        show_explanation(found, console())
