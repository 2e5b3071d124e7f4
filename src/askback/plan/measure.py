"""A short calibration: the base model does each kind of work on this machine for some seconds, on sampled text."""

import gc
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from askback.augment.write import Writing, write_piece
from askback.curate.score import score_piece
from askback.engines import kind_of
from askback.engines.worker_context import WorkerContext
from askback.evaluate.loss import measure_piece
from askback.execution.budget import Spent
from askback.execution.forecast import Pair
from askback.execution.identity import Model
from askback.execution.on_disk import MEASURED
from askback.execution.processes import Drain, run_pieces
from askback.execution.run import claim_run
from askback.models import resolve
from askback.owned import atomic
from askback.recipe import Recipe, Resources
from askback.records import Candidate, Example, Judgement, Provenance, Segment, Split, exchange
from askback.seed.load import gather

SECONDS = 10.0
"""For each kind of work, about: as many records are taken as a first few let expect."""
FEW, MOST = 2, 16
"""Records: to begin with, and at once, as a step's pieces are larger but no faster."""
WRITTEN = 24
"""Tokens of an instruction at most: a model that is not trained yet would never end it."""
BATCH = 4


def measure(
    recipe: Recipe, resources: Resources, pairs: list[Pair], candidates: list[Pair], folder: Path, drain: Drain
) -> None:
    """Have the base model work for a minute, in a process of its own, and write ``rates.json`` into the run folder.

    It is the embedded engine that is measured; a server's rates are known when a run has asked it.

    Args:
        pairs: of the seed, to train and measure the loss on.
        candidates: texts of the corpus with any instruction, to write instructions for and to judge.
    """
    base = resolve(recipe.base, recipe.chat_template)
    claim_run(folder)
    work = (recipe, resources, str(base), pairs, candidates)
    (found,) = run_pieces(
        work_a_little, [work], 1, folder / "rates.log", drain, lambda *_: None, "askback.train.preload"
    )
    with atomic(folder / MEASURED) as path:
        path.write_text(json.dumps(found, indent=2), "utf-8")


def training_rate(recipe: Recipe, folder: Path, drain: Drain, seconds: float = 4.0) -> float:
    """Return the tokens per second of the recipe's training on this machine, from a few steps on seed pairs.

    It takes about `seconds` and the loading of the base model.
    """
    pairs = [(pair.instruction, pair.output) for pair in gather(recipe.seed).kept[: 4 * BATCH]]
    base = resolve(recipe.base, recipe.chat_template)
    claim_run(folder)
    work = (recipe, str(base), pairs, seconds)
    (rate,) = run_pieces(_rate, [work], 1, folder / "rates.log", drain, lambda *_: None, "askback.train.preload")
    return rate


def _rate(worker: WorkerContext, given: tuple[Recipe, str, list[Pair], float]) -> float:
    spent = _trained(*given)
    return spent.train / spent.seconds


def work_a_little(
    worker: WorkerContext, given: tuple[Recipe, Resources, str, list[Pair], list[Pair]]
) -> dict[str, Any]:
    """In a worker: return seconds until the model was ready, seconds and tokens of each role, and scores of seed pairs."""
    recipe, resources, base, pairs, candidates = given
    began = time.monotonic()
    judge = resources.engine_for("score")
    local = resources.engine.model_copy(update={"kind": "transformers"})
    resources = resources.model_copy(update={"engine": local})
    model = Model(Path(base), "base", "", recipe.chat_template)
    worker.engine(local, base, recipe.chat_template)
    startup = time.monotonic() - began
    augment = recipe.augment.model_copy(update={"max_new_tokens": min(WRITTEN, recipe.augment.max_new_tokens)})

    def judge_some(some: list[Pair]) -> list[Judgement]:
        return score_piece(recipe.score, resources, model, 0, worker, _candidates(some)).kept

    spent = {
        "loss": _timed(
            worker, lambda some: measure_piece(recipe.evaluate, resources, model, worker, _examples(some)), pairs
        ),
        "score": _timed(worker, judge_some, candidates),
        "augment": _timed(
            worker,
            lambda some: write_piece(Writing(augment), resources, model, 0, worker, _segments(some)),
            candidates,
        ),
    }
    own = not kind_of(judge.kind).served  # else it is another model that will judge
    judged = judge_some(pairs[:MOST]) if own else []
    worker.close()
    gc.collect()
    spent["train"] = _trained(recipe, base, pairs, 2 * SECONDS)
    shown = {role: asdict(one) for role, one in spent.items()}
    scores = [(one.scorer, one.candidate_id, one.score, one.distribution) for one in judged]
    return {"engine": local.kind, "startup": round(startup, 2), "spent": shown, "scores": scores}


def _timed(worker: WorkerContext, work: Callable[[list[Pair]], Any], pairs: list[Pair]) -> Spent:
    """Work on a few records to warm up, then on as many as take `SECONDS`, and return what those took."""
    began = time.monotonic()
    work(pairs[:FEW])
    each = (time.monotonic() - began) / FEW
    some = pairs[: max(FEW, min(MOST, int(SECONDS / max(1e-6, each))))]
    began, before = time.monotonic(), worker.usage.total
    work(some)
    counted = (now - then for now, then in zip(worker.usage.total, before, strict=True))
    return Spent(time.monotonic() - began, *counted)


def _trained(recipe: Recipe, base: str, pairs: list[Pair], seconds: float) -> Spent:
    from askback.train.finetune import Job, rehearse

    options = recipe.training.model_copy(update={"batch_size": BATCH, "steps": None})
    examples = _examples(pairs, "train")
    job = Job(base, recipe.chat_template, "forward", options, examples, "", recipe.random_seed)
    tokens, seconds = rehearse(job, seconds)
    return Spent(seconds, train=tokens)


def _examples(pairs: list[Pair], split: Split = "held-out") -> list[Example]:
    return [
        Example(str(number), exchange(asked, output), Provenance(), "seed", split)
        for number, (asked, output) in enumerate(pairs)
    ]


def _candidates(pairs: list[Pair]) -> list[Candidate]:
    return [
        Candidate(str(number), exchange(asked, output), Provenance(), [], "", "", 0)
        for number, (asked, output) in enumerate(pairs)
    ]


def _segments(pairs: list[Pair]) -> list[Segment]:
    return [Segment(str(number), output, [], Provenance()) for number, (_, output) in enumerate(pairs)]
