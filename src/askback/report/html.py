"""One HTML file that shows a run: plots, tables and pairs to read, with no network and nothing of a document executed."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from askback.execution.progress import duration
from askback.execution.shards import atomic
from askback.report import plots
from askback.report.gather import View, gather
from askback.report.read import checked, verdict

HERE = Path(__file__).parent


def write_report(runs: Sequence[Path], out: Path) -> None:
    """Write the report of one run, or of several beside each other, to `out`.

    The file opens from disk on any device: styles and script are inside, and its content security policy lets it load
    nothing and run no script but ours, known by its hash. Text of documents is escaped wherever it stands; in the
    samples' JSON, `<` is, so that none can end it.

    Raises:
        InputError: one of them is no run folder.
        StorageError: the file cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    views = [gather(run) for run in runs]
    script = (HERE / "page.js").read_text("utf-8")
    files = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    files.filters |= {"duration": duration, "verdict": verdict, "checked": checked}
    page = files.get_template("page.html").render(
        title=" · ".join(view.name for view in views),
        views=views,
        plots=[_plots(view) for view in views],
        style=(HERE / "page.css").read_text("utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        samples=_data([{"run": view.name, **asdict(sample)} for view in views for sample in view.samples]),
    )
    with atomic(out) as temporary:
        temporary.write_text(page, "utf-8", errors="replace")


def _plots(view: View) -> dict[str, str]:
    """Draw every plot that the run has the values for, by the place it has on the page."""
    found = {
        "losses": plots.intervals(
            "Held-out loss by model",
            [(model, row["loss"], row["loss"], row["loss"]) for model, row in view.losses.items()],
            "nats per token (less is better)",
        ),
        "gates": plots.intervals(
            "What each round changed",
            [
                (f"m{gate['round']} − m{gate['against']}", gate["difference"], gate["low"], gate["high"])
                for gate in (view.result.gates if view.result else [])
                if gate["low"] is not None
            ],
            "nats per token (below 0 is better)",
        ),
        "outputs": plots.histogram("Output lengths", view.outputs, "characters"),
        "moved": plots.scatter("How scores moved", view.moved, "score a round before", "score in the last round"),
        "training": plots.lines("Training loss", view.training, "optimiser step", "nats per token"),
    }
    for t, separations in view.checks.items():
        for scorer in dict.fromkeys(one.scorer for one in separations):
            rows = [(one.kind, one.auroc, one.low, one.high) for one in separations if one.scorer == scorer]
            name = f"judge of round {t}" if scorer == "combined" else f"judge of round {t}: {scorer} alone"
            found[name] = plots.intervals(name.capitalize(), rows, "AUROC (0.5 is chance)")
    for scorer, rounds in view.scores.items():
        named = {f"round {t}": found for t, found in rounds.items()}
        found[f"scores {scorer}"] = plots.histogram(f"Scores: {scorer}", named, "score")
    return {name: drawn for name, drawn in found.items() if drawn}


def _data(value: Any) -> str:
    """Return JSON that can stand inside a script element whatever it holds."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " ")
