"""A run folder on a terminal: the funnel, the losses, some pairs."""

from collections.abc import Collection, Iterator
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from askback.curate.levels import described
from askback.execution.budget import spent_by
from askback.execution.progress import duration
from askback.methods import names
from askback.plan import Plan, PlannedStep
from askback.plan.preview import Preview
from askback.report import tables
from askback.report.plain import shown
from askback.report.table import Table, show
from askback.studies import run_folder, sides, summary
from askback.text.plain import plain


def show_funnel(folder: Path, console: Console, steps: Collection[str] = ()) -> None:
    """Print the numbers of records of each stage, in = kept + rejected + failed; only of `steps`, if given."""
    rows = []
    for stage in summary.funnel(folder):
        if steps and stage.step not in steps:
            continue
        why = ", ".join(f"{rule} {n:,}" for rule, n in sorted(stage.reasons.items(), key=lambda item: -item[1])[:4])
        numbers = [f"{n:,}" for n in (stage.entered, stage.kept, stage.rejected, stage.failed)]
        rows.append([stage.step, stage.name, *numbers, why])
    heads = ["step", "records", "in", "kept", "rejected", "failed", "why"]
    show(Table("Funnel", heads, rows, align="llrrrrl"), console)
    if redacted := ", ".join(f"{kind} {count:,}" for kind, count in summary.redacted(folder).items()):
        console.print(f"Redacted in the segments kept: {redacted}", highlight=False)


def show_losses(folder: Path, console: Console) -> None:
    """Print what is lacking, each judge's AUROC, every model's held-out loss, the rounds' agreement, and the result."""
    for line in [*summary.lacking(folder), *summary.checked(summary.checks(folder))]:
        console.print(line, highlight=False)
    if not run_folder.losses(folder):
        return
    result = run_folder.result(folder)
    show(tables.losses(sides.measured(sides.recorded(folder)), told=result is not None), console)
    for t, found in summary.agreements(folder).items():
        correlation = found["rank_correlation"]
        order = "" if correlation is None else f", rank correlation of the scores {correlation:.2f}"
        shared = (
            f"{found['shared']:.0%} of the pairs were chosen in round {int(t) - 1} too (Jaccard {found['jaccard']:.2f})"
        )
        console.print(f"Round {t}: {shared}{order}", highlight=False)
    if result is not None:
        for line in summary.verdict(result):
            console.print(line, highlight=False, markup=False)
        for name, use in (("model", "float32, to train on"), ("model-bfloat16", "bfloat16, to use")):
            line = f"Its model: {folder / 'result' / name}  ({use})"
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def show_scores(folder: Path, console: Console) -> None:
    """Print the spread of each round's scores, and the probability of the highest level."""
    for t, found in summary.scores(folder).items():
        for spread in found:
            console.print(f"Scores of round {t}, {described(spread)}.", highlight=False, markup=False)


def show_pairs(folder: Path, console: Console, count: int = 3) -> None:
    """Print the best-scored chosen pairs in full."""
    for pair in summary.best(folder, count):
        text = f"[bold]{shown(pair.instruction)}[/bold]\n\n{shown(pair.output)}"
        source = f"score {pair.score:.2f} · {pair.provenance.uri} · {pair.provenance.licence or 'licence not stated'}"
        console.print(Panel(text, subtitle=shown(source), subtitle_align="left"))


def show_preview(found: Preview, console: Console) -> None:
    """Print the pairs of a preview in full, why others were dropped, and the bill."""
    for pair, score in found.pairs:
        text = f"[bold]{shown(pair.instruction)}[/bold]\n\n{shown(pair.output)}"
        rated = "unscored" if score is None else f"score {score:.2f}"
        source = f"{rated} · {pair.style} · {pair.provenance.uri} · {pair.provenance.licence or 'licence not stated'}"
        console.print(Panel(text, subtitle=shown(source), subtitle_align="left"))
    for drop in found.dropped:
        line = f"Dropped, {drop.rule}: {drop.detail} ({drop.uri}) {drop.text}"
        console.print(plain(line), highlight=False, markup=False, soft_wrap=True)
    batch = any(bill.usd_batch < bill.usd for bill in found.bills)
    rows = []
    for bill in found.bills:
        tokens = [f"{bill.tokens.prompt:,}", f"{bill.tokens.output:,}"]
        rows.append(
            [bill.role, f"{bill.records:,}", *tokens, f"{bill.usd:,.2f}", *([f"{bill.usd_batch:,.2f}"] * batch)]
        )
    usd, usd_batch = (sum(getattr(bill, kind) for bill in found.bills) for kind in ("usd", "usd_batch"))
    rows.append(["total", "", "", "", f"{usd:,.2f}", *([f"{usd_batch:,.2f}"] * batch)])
    heads = ["role", "records", "prompt tokens", "output tokens", "USD", *(["USD, batch API"] * batch)]
    show(Table("What all would take, at most", heads, rows, total=True), console)
    if not usd:
        console.print(
            "No prices are given: usd_per_million_prompt_tokens and …output_tokens, under resources.", markup=False
        )
    console.print("These answers are kept, and the run takes them over.", highlight=False)


def show_plan(plan: Plan, console: Console) -> None:
    """Print the steps of a plan with records, tokens and time."""
    for line in plan.seed_rows:
        console.print(plain(line), highlight=False, markup=False, soft_wrap=True)
    for source, count in plan.documents.items():
        console.print(f"{source}: about {count:,} documents", highlight=False, markup=False)
    money, rows = any(step.usd for step in plan.steps), []
    for step in plan.steps:
        tokens = ", ".join(f"{count:,} {kind}" for kind, count in step.forecast.tokens._asdict().items() if count)
        row = (f"{step.forecast.entered:,}", tokens, _size(step.forecast.disk), _about(step.seconds))
        rows.append([step.name, step.state, *row, *([f"{step.usd:,.2f}"] if money else [])])
    seconds, disk = sum(step.seconds for step in plan.steps), sum(step.forecast.disk for step in plan.steps)
    cost = [f"{sum(step.usd for step in plan.steps):,.2f}"] if money else []
    rows.append(["total", "", "", "", _size(disk), f"≈ {duration(seconds)}", *cost])
    heads = ["step", "state", "records in", "tokens", "disk", "time", *(["USD"] if money else [])]
    show(Table(f"Plan of {plan.folder}", heads, rows, align="ll", total=True), console)
    for note in plan.notes:
        console.print(f"Note: {note}.", highlight=False, markup=False)
    for line in _closing_lines(plan):
        console.print(line, highlight=False, markup=False)


def _closing_lines(plan: Plan) -> Iterator[str]:
    """Yield a plan's needs beside its output, and the source of its figures, in words."""
    step = max(plan.steps, key=lambda step: step.forecast.scratch)
    if step.forecast.scratch:
        yield f"While it runs, {step.name} needs {_size(step.forecast.scratch)} of disk more than its output."
    if any(step.name == names.CORPUS and step.forecast.scratch for step in plan.steps):
        yield f"{names.CORPUS}: about 200 MB of memory a process, whatever the size, and 2 bytes a segment."
    if plan.device_hours >= 0.01:
        yield f"A model is at work for {plan.device_hours:,.2f} device hours."
    how = (
        "counted with the model's tokenizer" if plan.tokenizer is not None else "by characters, as no tokenizer is here"
    )
    yield f"Records and tokens are estimated from a sample, {how}; time from rates {plan.rates}."


def _number(count: int) -> str:
    return f"{count:,}" if count else ""


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB" if size >= 1e5 else ""


def _about(seconds: float) -> str:
    return f"≈ {duration(seconds)}" if seconds >= 1 else ""


def show_status(folder: Path, steps: list[PlannedStep], console: Console) -> None:
    """Print the progress of each step of a run."""
    rows = []
    for step in steps:
        at, planned = summary.progress(folder, step.name, step.state), summary.forecast(folder, step.name) or {}
        foreseen = (_about(planned.get("seconds", 0)), _number(sum(planned.get("tokens", {}).values())))
        if "seconds" in at:
            rate = f"{at['tokens'] / at['seconds']:,.0f}" if at["tokens"] and at["seconds"] else ""
            took = (duration(at["seconds"]), foreseen[0], _number(at["tokens"]), foreseen[1])
            rows.append([step.name, step.state, f"{at['kept']:,}", *took, rate, ""])
            continue
        words = {"pieces": at["pieces"], "steps": at["training_steps"]}
        so_far = ", ".join(f"{count:,} {word}" for word, count in words.items() if count)
        rows.append([step.name, step.state, so_far, "", foreseen[0], "", foreseen[1], "", _about(step.seconds)])
    heads = ["step", "state", "kept", "time", "forecast", "tokens", "forecast", "tokens/s", "left"]
    show(Table(f"Run {folder}", heads, rows, align="ll"), console)
    console.print(f"Spent over all attempts: {spent_by(folder)}.", highlight=False)
    left = sum(step.seconds for step in steps if step.state != "done")
    if left:
        console.print(f"About {duration(left)} left. A step that is begun goes on where it was.", highlight=False)
