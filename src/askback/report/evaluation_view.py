"""What an evaluation found, on a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from askback.report.plain import shown as as_text


def show_evaluation(found: dict[str, Any], console: Console) -> None:
    """Print losses, win rates, references, benchmarks and data of a run (``evaluate/summary.json``)."""
    for name, rows in found["losses"].items():
        _losses(name, rows, console)
    if found["win_rates"]:
        _win_rates(found["win_rates"], console)
    if found["references"]:
        _references(found["references"], console)
    if found["similarities"]:
        _similarities(found["similarities"], console)
    if found["benchmarks"]:
        _benchmarks(found["benchmarks"], console)
    _data(found["data"], console)


def _table(title: str, left: list[str], right: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _losses(name: str, rows: dict[str, Any], console: Console) -> None:
    columns = ["nats per token", "pairs", "tokens", "against base (95 %)", "against M_0 (95 %)"]
    table = _table(f"Loss on pairs: {as_text(name)}", ["model"], columns)
    for model, row in rows.items():
        apart = [row.get(f"against_{other}") for other in ("base", "m0")]
        shown = [f"{d['difference']:+.4f} ({d['low']:+.4f} to {d['high']:+.4f})" if d else "" for d in apart]
        table.add_row(model, f"{row['loss']:.4f}", f"{row['pairs']:,}", f"{row['tokens']:,}", *shown)
    console.print(table)


def _win_rates(rows: dict[str, Any], console: Console) -> None:
    columns = ["win rate %", "length-controlled %", "win/tie/loss", "unscored", "characters"]
    table = _table("Win rates (± one standard error)", ["model", "against", "prompts", "judge"], columns)
    for row in rows.values():
        total, controlled = row["total"], row["length_controlled"]
        table.add_row(
            *(as_text(row[name]) for name in ("model", "baseline", "prompts", "judge")),
            f"{total['win_rate']:.1f} ± {total['standard_error']:.1f}",
            f"{controlled['win_rate']:.1f} ± {controlled['standard_error']:.1f}" if controlled else "",
            f"{total['wins']}/{total['ties']}/{total['losses']}",
            f"{total['unscored']} of {total['prompts']}",
            f"{row['model_chars']:,.0f} : {row['baseline_chars']:,.0f}",
        )
    console.print(table)
    for row in rows.values():
        for said in row["cautions"]:
            console.print(f"  {row['model']} against {row['baseline']}: {said}", highlight=False, markup=False)


def _references(rows: dict[str, Any], console: Console) -> None:
    title = "ROUGE-L against reference answers (weak evidence: a good answer may share few words)"
    table = _table(title, ["model", "prompts"], ["answers", "precision", "recall", "ROUGE-L"])
    for row in rows.values():
        numbers = [f"{row[name]:.3f}" for name in ("precision", "recall", "rouge_l")]
        table.add_row(as_text(row["model"]), as_text(row["prompts"]), f"{row['answers']:,}", *numbers)
    console.print(table)


def _similarities(rows: dict[str, Any], console: Console) -> None:
    title = "Nearness to reference answers in meaning, cosine (weak evidence: it does not tell right from wrong)"
    table = _table(title, ["model", "prompts", "embedder"], ["answers", "similarity", "to another's reference"])
    for row in rows.values():
        error = "" if row["standard_error"] is None else f" ± {row['standard_error']:.3f}"
        unrelated = "" if row["unrelated"] is None else f"{row['unrelated']:.3f}"
        names = [as_text(row[name]) for name in ("model", "prompts", "embedder")]
        table.add_row(*names, f"{row['answers']:,}", f"{row['similarity']:.3f}{error}", unrelated)
    console.print(table)


def _benchmarks(rows: dict[str, Any], console: Console) -> None:
    table = _table("Benchmarks (lm-eval)", ["model", "task", "metric"], ["value", "standard error"])
    for row in rows.values():
        for task, scores in row["tasks"].items():
            for name, value in scores.items():
                if not name.partition(",")[0].endswith("_stderr"):
                    error = scores.get(name.replace(name.partition(",")[0], f"{name.partition(',')[0]}_stderr", 1))
                    table.add_row(row["model"], task, name, f"{value:.4f}", "" if error is None else f"{error:.4f}")
    console.print(table)


def _data(sets: dict[str, Any], console: Console) -> None:
    columns = ["pairs", "instruction", "output", "near-copies", "verb + noun found"]
    prompts = any("evaluation_prompts" in row for row in sets.values())
    table = _table("Data (characters: mean ± standard deviation)", ["set"], columns + ["evaluation prompts"] * prompts)
    for name, row in sets.items():
        sizes = [f"{row[side]['mean']:,.0f} ± {row[side]['sd']:,.0f}" for side in ("instruction", "output")]
        shares = [f"{row['near_copies']:.1%}", f"{row['verbs']['coverage']:.1%}"]
        found = [str(row["evaluation_prompts"])] if prompts else []
        table.add_row(name, f"{row['pairs']:,}", *sizes, *shares, *found)
    console.print(table)
    for name, row in sets.items():
        if row["verbs"]["top"]:
            said = ", ".join(
                f"{verb} {'/'.join(n for n, _ in nouns[:2])} {count}" for verb, count, nouns in row["verbs"]["top"][:6]
            )
            console.print(f"  {name}, by {row['verbs']['by']}: {said}", highlight=False, markup=False)


def show_scaling(found: dict[str, Any], console: Console) -> None:
    """Print the points of a scaling run and the fits (``scaling/summary.json``)."""
    measures = [name for name in ("loss", "win_rate") if any(name in point for point in found["points"])]
    table = _table("Scaling", ["set"], ["examples", *measures])
    for point in found["points"]:
        numbers = [f"{point[name]:.4f}" if point.get(name) is not None else "" for name in measures]
        table.add_row(point["set"], f"{point['size']:,}", *numbers)
    console.print(table)
    table = _table("w = alpha ln N + C", ["measure", "set"], ["alpha", "95 % interval", "C"])
    for measure, fits in found["fits"].items():
        for name, fit in fits.items():
            interval = "" if fit["low"] is None else f"{fit['low']:.4f} to {fit['high']:.4f}"
            table.add_row(measure, name, f"{fit['alpha']:.4f}", interval, f"{fit['constant']:.4f}")
    if table.row_count:
        console.print(table)
