"""One HTML file that shows a run: plots, tables and pairs to read, with no network and nothing of a document executed."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from askback.execution.on_disk import reading
from askback.methods import names
from askback.owned.html_page import check_page, write_page
from askback.report import compare, pictures, tables
from askback.report.gather import View, gather
from askback.report.samples import Sample
from askback.studies.limits import limits
from askback.studies.sides import HELD_OUT
from askback.studies.summary import Stage, checked, learnt, verdict
from askback.text.plain import plain

HERE = Path(__file__).parent
OPENING = 3
"""Pairs that the report opens with."""
BEGINNINGS = (names.SEGMENTS, names.CANDIDATES)
DROPPING = (names.SEED, names.CORPUS, names.REWRITTEN, names.FILTERED, names.GROUNDED)
"""Steps of the funnel: those that are in it in any case, and others; so are the judgements and the choice of a round."""


def write_report(runs: Sequence[Path], out: Path) -> None:
    """Write the report of one run, or of several beside each other, to `out`.

    The file opens from disk on any device: styles and script are inside, and its content security policy lets it load
    nothing and run no script but ours, known by its hash. Text of documents is escaped wherever it stands; in the
    samples' JSON, `<` is, so that none can end it.

    Raises:
        InputError: one of them is no run folder.
        StorageError: the file cannot be written.
    """
    check_page(out)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    views = [_looked_at(run, name) for run, name in zip(runs, _names(runs), strict=True)]
    script = (HERE / "page.js").read_text("utf-8")
    files = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    files.filters |= {"verdict": verdict, "checked": checked, "glance": compare.glance, "narrowing": narrowing}
    files.filters |= {"opening": opening, "conclusion": conclusion}
    files.filters |= {
        "sections": sections,
        "best_scorer": pictures.best_scorer,
        "number": "{:,}".format,
        "limits": limits,
    }
    page = files.get_template("page.html").render(
        title=" · ".join(view.name for view in views),
        views=views,
        plots=[pictures.of_run(view) for view in views],
        tables=[tables.of_run(view) for view in views],
        compared=_compared(views) if len(views) > 1 else None,
        style="".join((HERE / name).read_text("utf-8") for name in ("page.css", "plot.css")),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        samples=_data([{"run": view.name, **asdict(sample)} for view in views for sample in view.samples]),
    )
    write_page(out, "report", plain(page))


def _looked_at(run: Path, name: str) -> View:
    """Return what a run has to show, once it is known that all of it can be shown."""
    with reading(run, "make evaluate, study or calibrate again"):
        view = gather(run, name)
        pictures.of_run(view)
        tables.of_run(view)
    return view


def _names(runs: Sequence[Path]) -> list[str]:
    """Return the name of each run's folder, with its number where two have the same."""
    names = [run.resolve().name for run in runs]
    often = Counter(names)
    return [f"{name} ({number})" if often[name] > 1 else name for number, name in enumerate(names, 1)]


def _compared(views: Sequence[View]) -> dict[str, Any]:
    return {"plots": pictures.of_all(views), "tables": tables.of_all(views)}


def sections(view: View) -> dict[str, str]:
    """Return anchor → title of the sections that have content for this run."""
    found = {
        "pairs": ("Pairs", opening(view)),
        "funnel": ("Funnel", narrowing(view)),
        "helped": ("Did it help?", view.losses[HELD_OUT] or view.evaluation or view.study or view.training),
        "judge": ("Judge", view.checks or view.scores or view.calibrations),
        "data": ("Data", view.lengths),
        "cost": ("Cost", view.steps),
    }
    return {place: title for place, (title, shown) in found.items() if shown}


def opening(view: View) -> list[Sample]:
    """Return the pairs that the report opens with: those with the highest scores of the chosen ones in the samples."""
    chosen = [sample for sample in view.samples if sample.kind == "chosen"]
    return sorted(chosen, key=lambda sample: -(sample.score or 0.0))[:OPENING]


def conclusion(view: View) -> str:
    """Return what the last model learnt in one sentence, "" where nothing was compared."""
    if view.result is None or not view.result.gates:
        return ""
    step = names.choice(view.result.gates[-1]["round"])
    step = names.GROUNDED if any(stage.step == names.GROUNDED for stage in view.stages) else step
    return learnt(view.result, sum(stage.kept for stage in view.stages if stage.step == step))


def narrowing(view: View) -> list[Stage]:
    """Return the stages that records of the data go through, the later ones where they dropped some."""
    return [
        stage
        for stage in view.stages
        if stage.step in BEGINNINGS or (_may_drop(stage.step) and stage.entered > stage.kept)
    ]


def _may_drop(step: str) -> bool:
    t = names.round_of(step)
    return step in DROPPING or step in (names.judgements(t), names.choice(t))


def _data(value: Any) -> str:
    """Return JSON that can stand inside a script element whatever it holds."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " ")
