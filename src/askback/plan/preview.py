"""A preview: a few segments asked about and judged as the run will, and from the tokens that took, what all would cost.

The answers of servers stay in the run folder, and the run takes them from there: nothing is asked, or paid, twice.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from askback.augment.prompted import ask_writer
from askback.augment.write import Writing, write_piece
from askback.curate.combine import combine
from askback.curate.score import score_piece
from askback.engines import kind_of
from askback.engines.response_cache import PREVIEW, Answers
from askback.engines.usage import Tokens
from askback.engines.vllm.vllm_server import Serving, log_name
from askback.engines.worker_context import WorkerContext
from askback.errors import RecipeError
from askback.execution.budget import cost
from askback.execution.identity import Model
from askback.execution.on_disk import read_json
from askback.execution.outcome import Outcome
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import write_json
from askback.methods.prompted import read_inputs
from askback.plan import Plan, running
from askback.recipe import Prompted, RecipeFile, Resources
from askback.recipe.resources import ASKED
from askback.records import Candidate, Judgement, Rejection, Segment

TOKENS = "preview.json"
"""File in the run folder with the number of requests of each role so far, and their tokens."""


Work = Callable[[Resources, Model, WorkerContext], Outcome[Any]]


@dataclass(frozen=True)
class Bill:
    """What a role will take of all there is, at most: records, tokens by kind, US dollars, and these at batch prices."""

    role: str
    records: int
    tokens: Tokens
    usd: float
    usd_batch: float


@dataclass(frozen=True)
class Preview:
    """Some segments with their candidates and scores, or the rejections, and the bill of each role."""

    pairs: list[tuple[Candidate, float | None]]
    dropped: list[Rejection]
    bills: list[Bill]
    folder: Path


def preview(file: RecipeFile, count: int, progress: Progress | None = None) -> Preview:
    """Make the corpus, ask about its first `count` segments in the drawn order, and judge the pairs.

    Raises:
        RecipeError: the recipe trains the models that it asks.
        InputError: a server cannot be reached, or gives no answers.
    """
    recipe = file.recipe
    if not isinstance(recipe.backward, Prompted):
        raise RecipeError(
            f"preview asks models that are not trained, and method {recipe.method} trains them first; see askback plan"
        )
    running.run(file, lambda recipe, run: read_inputs(recipe, run)[0], progress=progress)
    worker = WorkerContext()
    with Run(file, progress) as run:
        segments, seed = read_inputs(recipe, run)
        pieces = segments.cut_drawn(recipe.random_seed, 0, count, count)
        some: list[Segment] = list(pieces[0]) if pieces else []
        writer, judge = (run.server(role) or run.base() for role in ("augment", "score"))
        ask = partial(ask_writer, recipe.random_seed, seed if recipe.asking.shots else None)
        writing = Writing(recipe.asking, ask)

        def write(resources: Resources, model: Model, worker: WorkerContext) -> Outcome[Candidate]:
            return write_piece(writing, resources, model, recipe.random_seed, worker, some)

        written = _asked(run, worker, "augment", writer, len(some) * recipe.asking.per_segment, write)

        def rate(resources: Resources, model: Model, worker: WorkerContext) -> Outcome[Judgement]:
            return score_piece(recipe.score, resources, model, recipe.random_seed, worker, written.kept)

        judged = Outcome[Judgement]()
        if recipe.curate == "judge":
            judged = _asked(run, worker, "score", judge, len(written.kept) * len(recipe.score.scorers), rate)
    scores = combine(judged.kept, recipe.select.weights)
    pairs = [(one, scores.get(one.id)) for one in written.kept]
    return Preview(pairs, written.dropped, bills(file), run.folder)


def _asked(run: Run, worker: WorkerContext, role: str, model: Model, requests: int, work: Work) -> Outcome[Any]:
    """Do the work of a role here, with the answers on disk, and add to the count of what it took."""
    serving = Serving()
    options = run.file.resources.engine_for(role)
    model = model.read_in(options.dtype)
    try:
        log, local = run.folder / log_name(), run.file.resources.model_copy(update={"executor": "local"})
        resources = serving.ready(role, {"model": model}, local, log, run.progress.say)
        with worker.answering(Answers(run.folder / PREVIEW)) as answers:
            # What the server offers is asked first, and is no part of what the work takes.
            worker.engine(resources.engine, str(model.path), model.chat_template)
            before, spent_before = len(answers), worker.usage.total
            outcome = work(resources, model, worker)
            new = len(answers) - before if kind_of(options.kind).served else requests
            used = Tokens(*(now - then for now, then in zip(worker.usage.total, spent_before, strict=True)))
    finally:
        serving.close()
    if new:
        spent = _spent(run.folder)
        known = spent.setdefault(_who(run.file, role), {"requests": 0, "prompt": 0, "output": 0})
        for name, number in (("requests", new), ("prompt", used.prompt), ("output", used.output)):
            known[name] += number
        write_json(run.folder / TOKENS, spent)
    return outcome


def bills(file: RecipeFile) -> list[Bill]:
    """Return the bill of each role, by the tokens of the requests so far, or by forecast where there were none."""
    plan, spent, found = Plan(file), _spent(Path(file.resources.runs) / file.name), list[Bill]()
    each = {"augment": file.recipe.augment.per_segment, "score": len(file.recipe.score.scorers)}
    for role in ASKED:
        if not (steps := [step for step in plan.steps if step.engine == role]):
            continue
        records = sum(step.forecast.entered for step in steps)
        tokens = Tokens(*(sum(kind) for kind in zip(*(step.forecast.tokens for step in steps), strict=True)))
        if known := spent.get(_who(file, role)):
            times = records * each[role] / known["requests"]
            tokens = Tokens(round(times * known["prompt"]), round(times * known["output"]))
        engine = file.resources.engine_for(role)
        usd = cost(tokens, 0.0, engine, file.resources)
        found.append(Bill(role, records, tokens, usd, usd * (1 - engine.batch_discount)))
    return found


def _spent(folder: Path) -> dict[str, dict[str, int]]:
    path = folder / TOKENS
    return read_json(path, dict[str, dict[str, int]]) if path.exists() else {}


def _who(file: RecipeFile, role: str) -> str:
    """Return whom a role asks: another server's tokens tell nothing."""
    engine = file.resources.engine_for(role)
    return json.dumps([role, engine.kind, engine.url, engine.model or file.recipe.base])
