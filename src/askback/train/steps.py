"""Training as a step: M_yx learns to ask, M_0 … M_t learn to answer, each from the base model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from askback.engines.worker_context import WorkerContext
from askback.errors import Interrupted
from askback.execution.identity import Model, recorded
from askback.execution.on_disk import step_record
from askback.execution.outcome import Counts
from askback.execution.shards import Records, rejections, write_records
from askback.execution.step import Step
from askback.recipe import Backward, Launch, Training
from askback.records import Example, Lesson, Rejection, record_id
from askback.train.abstention import refusals
from askback.train.finetune import Job, finetune
from askback.train.forecast import forecast
from askback.train.launch import check_shares, train_together
from askback.train.trackers import check_installed
from askback.train.training_rows import Direction, Taught, is_added, schedule


@recorded(version=5, output="model", prompts=("backward",), forecast=partial(forecast, direction="backward"))
def train_backward(step: Step, options: Backward, *, base: Model, examples: Sequence[Records[Example]]) -> Model:
    """Train M_yx: the output is shown, the instruction is learnt (method.md 1.1), or that there is none (`refusals`)."""
    taught = [one for one in taught_by(examples) if isinstance(one, Example)]
    return _train(step, options, "backward", base, [*taught, *refusals(taught, options.refusals, step.random_seed)])


@recorded(version=1, output="model", prompts=("answer",), forecast=partial(forecast, direction="rewrite"))
def train_rewriter(step: Step, options: Training, *, base: Model, examples: Sequence[Records[Example]]) -> Model:
    """Train a rewriter: text and question are shown, the answer is learnt (method.md 3.3). A triple that is longer than
    `max_tokens` is left out."""
    return _train(step, options, "rewrite", base, taught_by(examples))


@recorded(version=5, output="model", prompts=("forward",), forecast=forecast)
def train_forward(
    step: Step,
    options: Training,
    *,
    base: Model,
    examples: Sequence[Records[Taught]],
    earlier: Model | None = None,
    taught: Sequence[Records[Taught]] | None = None,
) -> Model:
    """Train M_0 or M_t: the tagged instruction is shown, the output is learnt (method.md 1.1, 1.6).

    Of a lesson, the conversation is shown in the rubric's prompt and its score is learnt.

    Args:
        earlier: the model of the round before, trained with the same options; where it learnt from the same examples, it
            is taken over.
        taught: what `earlier` learnt from.
    """
    learnt = taught_by(examples)
    if earlier is not None and taught is not None and _unscored(learnt) == _unscored(taught_by(taught)):
        made = step.take_over(earlier)
        write_records(step.folder / "rejected-00000.parquet", Rejection, list(rejections(earlier.path.parent)))
        step.metrics = {**step_record(earlier.path.parent)["metrics"], "taken_over": earlier.id}
        left_out = int(step.metrics["left_out"])
        step.counts = {"examples": Counts(len(learnt), len(learnt) - left_out, left_out)}
        return made
    return _train(step, options, "forward", base, learnt)


def taught_by(examples: Sequence[Records[Taught]]) -> list[Taught]:
    """Return what is learnt. Where records are given twice, each copy has an id of its own, as batches are drawn by ids."""
    learnt, times = list[Taught](), Counter[Path]()
    for records in examples:
        copy = times[records.folder]
        times[records.folder] += 1
        taught = [one for one in records if isinstance(one, Lesson) or one.split == "train"]
        learnt += [replace(one, id=record_id(one.id, str(copy))) for one in taught] if copy else taught
    return learnt


def _unscored(taught: Sequence[Taught]) -> list[Taught]:
    """Return what is learnt of examples: a judge's score of a chosen pair is not, a lesson's score is."""
    return [replace(one, score=None) if isinstance(one, Example) else one for one in taught]


def _train(step: Step, options: Training, direction: Direction, base: Model, taught: Sequence[Taught]) -> Model:
    """Train in a process of its own; held-out pairs stay out, and every other is counted."""
    check_installed(step.resources.trackers)
    devices = step.resources.training
    job = Job(
        *(str(base.path), base.chat_template, direction, options, taught, str(step.folder), step.random_seed),
        device_map=devices.device_map,
        trackers=step.resources.trackers,
    )
    plan = schedule(options, len(taught), sum(map(is_added, taught)), devices.total)
    check_shares(devices, plan.rows)
    preload = "askback.train.preload"
    (step.metrics,) = step.alone(partial(train_apart, devices), [job], "steps", plan.steps, devices.processes, preload)
    left_out = int(step.metrics["left_out"])
    step.counts = {"examples": Counts(len(taught), len(taught) - left_out, left_out)}
    return step.model


def train_apart(devices: Launch, worker: WorkerContext, job: Job) -> dict[str, float | int]:
    """In a process of its own: train, and save a checkpoint when the user asks to stop."""
    if devices.total > 1:
        return train_together(job, devices, worker.report, worker.stopping)

    def tell(steps: int, tokens: int) -> None:
        worker.report(steps, tokens)
        if worker.stopping():
            raise Interrupted("stopped; the training's checkpoint is saved. The same command goes on from there.")

    return finetune(job, tell)
