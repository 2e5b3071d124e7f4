"""The commands around a run: init, plan, corpus, run, join, status, demo, models."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from askback import owned
from askback.cli.shared import (
    Json,
    MaxHours,
    MaxTokens,
    MaxUsd,
    RecipePath,
    Redo,
    RunPath,
    Set,
    closing,
    console,
    load,
    recipes,
    stopping,
)
from askback.errors import InputError, Interrupted, RecipeError

if TYPE_CHECKING:
    from askback.recipe import RecipeFile


TEMPLATES = {"humpback": "template"}
"""The shipped recipe that a method's own is made from, where that is not called as the method is."""
SERVER, KEY = "url: http://localhost:8000/v1", 'api_key_env: ""'
"""Lines of a template that --url and --key-env fill in."""


def init(
    name: Annotated[str, typer.Argument(help="Name of the run and of its folder.")] = "my-run",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("recipe.yaml"),
    method: Annotated[
        str, typer.Option(help="Method: humpback, prompted, back_and_forth or reinstruct.", metavar="NAME")
    ] = "humpback",
    url: Annotated[
        str,
        typer.Option(help="Server to ask, as https://host/v1; for methods prompted and back_and_forth.", metavar="URL"),
    ] = "",
    key_env: Annotated[
        str, typer.Option(help="NAME of the environment variable that holds that server's key.", metavar="NAME")
    ] = "",
    list: Annotated[bool, typer.Option("--list", help="List the recipes that come with askback.")] = False,
) -> None:
    """Write a commented recipe to edit. Without --method, it shows every option there is."""
    if list:
        for path in sorted(recipes().glob("*.yaml")):
            typer.echo(f"{path.stem:12} {path.read_text('utf-8').splitlines()[0].lstrip('# ')}")
        return
    from askback.lookup import nearest
    from askback.recipe import NAME
    from askback.recipe.names import METHODS

    if method not in METHODS:
        raise RecipeError(
            f"--method {method}: no such method; allowed: {', '.join(METHODS)}.{nearest(method, METHODS)}"
        )
    if not re.fullmatch(NAME, name):
        raise RecipeError(
            f"{name}: not a name for a run; use letters, digits, '.', '_' and '-', a letter or digit first"
        )
    text = (recipes() / f"{TEMPLATES.get(method, method)}.yaml").read_text("utf-8")
    given = {"name: my-run": f"name: {json.dumps(name)}"}
    given |= {SERVER: f"url: {json.dumps(url)}"} if url else {}
    given |= {KEY: f"api_key_env: {json.dumps(key_env)}"} if key_env else {}
    for line, own in given.items():
        if line not in text:
            raise RecipeError(
                f"--url and --key-env: method {method} asks models that it trains; name a server in {out}"
            )
        text = text.replace(line, own, 1)
    owned.create(out, text)
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
    rates: Annotated[
        Path | None,
        typer.Option(help="Estimate times from what benchmarks/gpu.py --json measured on a card.", metavar="FILE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a recipe and show its steps, records, tokens, time, disk and, where the recipe gives prices, money.

    Runs nothing, and loads no model without --measure, which saves the measured speeds in the run folder.
    """
    from askback.plan import Plan
    from askback.plan.servers import ask_servers
    from askback.recipe.resources import ASKED
    from askback.report.terminal import show_plan

    looked = Plan(load(recipe, set), source=source, of_card=rates)
    if measure:
        typer.echo("Measuring the base model's speed on this machine: about a minute.", err=True)
        looked.measure()
    roles = tuple(role for role in ASKED if role in {step.engine for step in looked.steps})
    for offer in ask_servers(looked.file, (*roles, "compare")) if probe else []:
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


def preview(
    recipe: RecipePath,
    set: Set = None,
    count: Annotated[int, typer.Option("-n", min=1, max=100, help="Number of segments to ask about.")] = 5,
    as_json: Json = False,
) -> None:
    """Show a few pairs of a recipe that trains nothing, and what all would cost.

    Makes the corpus, and asks about its first segments. The run takes these answers over, so that nothing is paid twice.
    """
    from askback.execution.progress import Progress
    from askback.plan.preview import preview as look
    from askback.report.terminal import show_preview

    with stopping():
        found = look(load(recipe, set), count, Progress())
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False, default=str))
        return
    show_preview(found, console())
    typer.echo(f"\nNext: askback run {recipe}")


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
        if redo:
            raise RecipeError("--redo: not with --explain, which makes nothing")
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
    max_hours: MaxHours = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
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


def demo(
    out: Annotated[Path | None, typer.Option(help="Folder for the exported data set; by default data/demo.")] = None,
    docs: Annotated[
        Path | None,
        typer.Option(help="Folder of your own documents: HTML, Markdown, text, PDF.", metavar="FOLDER"),
    ] = None,
    set: Set = None,
) -> None:
    """Run the whole loop in a few minutes: this machine's documentation or yours, a bundled seed, the embedded model.

    What is done is said in plain words, and pairs are shown as they are written.
    """
    from askback.export import check_out, export
    from askback.plan import running
    from askback.plan.demo import check_corpus, expected, load_demo
    from askback.report.guide import Guide, show_best
    from askback.report.html import write_report
    from askback.studies.run_folder import result
    from askback.studies.summary import learnt

    file = load_demo(recipes() / "demo.yaml", docs, set)
    out = out or Path("data") / file.name
    check_out(Path(file.resources.runs) / file.name, out)  # not after five minutes
    screen = console()
    guide = Guide(screen)
    guide.say("Measuring for some twenty seconds how fast this machine learns …")
    guide.say(expected(file))
    check_corpus(file, guide)
    folder = running.run(file, progress=guide)
    count = export(folder, out)
    report = folder / "report.html"
    write_report([folder], report)
    guide.say("")
    show_best(folder, screen)
    if (found := result(folder)) is not None:
        guide.say(learnt(found, count))
    guide.say(
        f"\nReport:    {report}\nData set:  {out}  ({count:,} pairs; datasets.load_dataset({str(out)!r}))\n"
        f"\nNext:  askback demo --docs FOLDER    # the same with documents of your own\n"
        f"       askback status {folder}     # every step, every figure\n"
        "       askback init my-run           # a recipe for your own documents and seed pairs"
    )


def models(
    fetch: Annotated[str | None, typer.Option(help="Download this model now.", metavar="NAME")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the terms of a model that has its own.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models that come with askback, or download one."""
    from askback.models import builtin

    if fetch:
        wanted = builtin.find(fetch)
        if builtin.cached(fetch) is None and (accept_licence or not wanted.terms):
            typer.echo(f"Fetching {fetch}, {wanted.megabytes} MB, and unpacking it: half a minute or so.", err=True)
        typer.echo(f"{fetch}: {builtin.fetch(fetch, accept=accept_licence)}")
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
