"""One finetuning: a job in, a finished checkpoint out, resumed where it was killed (method.md 1.5)."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from askback import models, owned
from askback.engines.local.loading import load, stop_tokens
from askback.errors import EmptyStep, MissingExtra
from askback.execution.identity import MODEL
from askback.execution.shards import write_records
from askback.recipe import Training
from askback.records import Rejection, record_id, reject
from askback.train import distributed
from askback.train.checkpoints import Watch, flush
from askback.train.dropout import dropout_of, with_dropout
from askback.train.frozen import freeze_below
from askback.train.rounding import write_bfloat16
from askback.train.trackers import track
from askback.train.trainer import build_trainer, check_options, quantisation
from askback.train.training_rows import (
    Direction,
    Row,
    Taught,
    arrange,
    is_added,
    padding_of,
    rewritten,
    schedule,
    tokenize,
)

REHEARSED = 4
"""Number of steps of a training that is only timed."""


@dataclass(frozen=True)
class Job:
    """The arguments of a training; picklable.

    `base` is a local model folder, `chat_template` the path of a Jinja file or "". In the step's `folder`, ``model`` will
    be the finished checkpoint in float32, ``model-bfloat16`` its bfloat16 form (rounding.py), ``checkpoints`` holds
    resumable ones meanwhile, and ``metrics.jsonl`` has a line per step. `checkpoint_seconds` is the shortest time between
    two checkpoints. `device_map` is transformers' option for several devices of one process, "auto" or None. `trackers`
    receive the losses too (trackers.py).
    """

    base: str
    chat_template: str
    direction: Direction
    options: Training
    examples: Sequence[Taught]
    folder: str
    random_seed: int
    checkpoint_seconds: float = 300.0
    device_map: str | None = None
    trackers: tuple[str, ...] = ()


def finetune(job: Job, report: Callable[[int, int], None]) -> dict[str, float | int]:
    """Train from `job.base` on `job.examples` and write the model, in both its forms; resume from a checkpoint if any.

    `report(steps, tokens)` is called after every step; steps of an earlier attempt are reported first, with 0 tokens. If it
    raises `Interrupted`, a checkpoint is saved before the exception is raised again. A job finished in this folder is not
    repeated.

    Returns:
        steps, examples, epochs, tokens and label_tokens (no padding), truncated (examples cut to `max_tokens`), left_out
        (examples without a label within `max_tokens`, or that the template alters; they are in
        ``rejected-00000.parquet``), padding (tokens read as padding, 0 where rows are packed), first_loss and
        final_loss (of the first and the last step, in nats per label token), seconds (of training, over all attempts).

    Raises:
        RecipeError: an option is wrong.
        InputError: the base model or template is unusable, or the loss is not a number any more.
        EmptyStep: there is nothing to train on.
        MissingExtra: TRL is not installed.
    """
    assert not any(getattr(one, "split", "") == "held-out" for one in job.examples), (
        "held-out examples are never trained on"
    )
    folder = Path(job.folder)
    if distributed.is_first():
        owned.claim(folder, "step")
        owned.clear(folder)
    mark = fingerprint(job)
    if (finished := _finished(folder, mark)) is not None:
        return finished
    model, tokenizer = _base(job)
    rows, left_out = _rows(job, tokenizer)
    if distributed.is_first():
        write_records(folder / "rejected-00000.parquet", Rejection, left_out)
    if not rows:
        raise EmptyStep(
            f"{folder.name}: none of {len(job.examples)} examples leaves anything to learn within "
            f"{job.options.max_tokens} tokens; give more examples, or raise max_tokens"
        )
    plan = schedule(job.options, len(job.examples), sum(map(is_added, job.examples)), distributed.count())
    on_top = plan.on_top if len({row.added for row in rows}) == 2 else 0
    batches = arrange(rows, plan.steps, plan.batch_size, job.random_seed, on_top)
    step_tokens = [sum(rows[index].tokens for index in batch) for batch in batches]
    if distributed.is_first():
        owned.whole(folder / "checkpoints")
    watch = Watch(folder, mark, step_tokens, job.checkpoint_seconds, report)
    trainer = build_trainer(
        model, tokenizer, rows, batches, job.options, job.random_seed, watch, folder / "checkpoints"
    )
    track(trainer, job.trackers, folder)
    with _without_bars():
        trainer.train(resume_from_checkpoint=watch.resume())
        if watch.stopped:
            raise watch.stopped
        _save(trainer, job)
    metrics = _metrics(job, rows, batches) | {"padding": _padding(trainer, rows, batches)} | watch.metrics()
    if distributed.is_first():
        with owned.atomic(folder / "result.json") as path:
            path.write_text(json.dumps({"job": mark, "metrics": metrics}), "utf-8")
        owned.remove(folder / "checkpoints")
    return metrics


def fingerprint(job: Job) -> str:
    """Return a hash of the arguments that define the job's result, so that no other job's files are reused."""
    template = models.read_chat_template(job.chat_template) or ""
    options = json.dumps(job.options.model_dump(), sort_keys=True)
    return record_id(job.base, template, job.direction, options, str(job.random_seed), *map(repr, job.examples))


def _finished(folder: Path, mark: str) -> dict[str, float | int] | None:
    try:
        result = json.loads((folder / "result.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    same = result["job"] == mark and models.bfloat16_form(folder / MODEL).is_dir() and (folder / MODEL).is_dir()
    return result["metrics"] if same else None


def _base(job: Job) -> tuple[Any, Any]:
    """Check the options and load the base model, in float32 or quantised, and its tokenizer."""
    try:
        import torch

        check_options(job.options)
    except ImportError as error:
        raise MissingExtra(error.name or "trl", "local", "training") from error
    models.check_model(Path(job.base), job.chat_template)
    how: dict[str, Any] = {"device_map": job.device_map} if job.device_map else {}
    if quantised := job.options.lora and job.options.lora.quantised:
        how["quantization_config"] = quantisation(quantised)
    if job.options.dropout:
        how |= with_dropout(Path(job.base), job.options.dropout)
    model, tokenizer = load(Path(job.base), torch.float32, job.chat_template, **how)
    stop_tokens(tokenizer, model.generation_config)  # raises if there is none to learn
    if job.options.trained_layers is not None:
        freeze_below(model, job.options.trained_layers)
    return model, tokenizer


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers from drawing a progress bar for every file it writes."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _metrics(job: Job, rows: list[Row], batches: list[list[int]]) -> dict[str, float | int]:
    used = [rows[index] for batch in batches for index in batch]
    return {
        "steps": len(batches),
        "examples": len(rows),
        "epochs": round(len(used) / len(rows), 3),
        "tokens": sum(row.tokens for row in used),
        "label_tokens": sum(sum(row.learnt) for row in used),
        "truncated": sum(row.truncated for row in rows),
        "left_out": len(job.examples) - len(rows),
    }


def _padding(trainer: Any, rows: list[Row], batches: list[list[int]]) -> int:
    lengths = [[rows[index].tokens for index in batch] for batch in batches]
    return 0 if trainer.padding_free else padding_of(lengths, trainer.args.per_device_train_batch_size)


def _rows(job: Job, tokenizer: Any) -> tuple[list[Row], list[Rejection]]:
    """Return the examples as tokens, and the rejections of those without a label or that the chat template alters."""
    rows, left_out = list[Row](), list[Rejection]()
    for one in job.examples:
        if rewritten(tokenizer, one, job.direction):
            rule, detail = "rewritten", "the chat template renders it otherwise than it is"
        elif row := tokenize(tokenizer, one, job.direction, job.options.max_tokens):
            rows.append(row._replace(added=is_added(one)))
            continue
        else:
            rule, detail = "over-max-tokens", f"the prompt alone fills {job.options.max_tokens} tokens"
        left_out.append(reject(one.id, "examples", rule, detail, uri=one.provenance.uri, text=one.instruction))
    return rows, left_out


def _save(trainer: Any, job: Job) -> None:
    """Write the model in float32 and in bfloat16, each whole or not at all: weights, config, tokenizer, chat template.

    An adapter is merged into the base model first, since every engine can load a full checkpoint, but not an adapter.
    """
    folder = Path(job.folder)
    model = trainer.model
    if trainer.is_fsdp_enabled or (job.options.lora and job.options.lora.quantised):
        # It is sharded, or quantised: load it from disk, an adapter onto the unquantised base.
        import torch

        parts = folder / "checkpoints" / "parts"
        trainer.save_model(str(parts))
        model = load(parts, torch.float32)[0] if distributed.is_first() else None
    elif hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    if not distributed.is_first():
        return
    if job.options.dropout:  # dropout belongs to the training, not to the model
        for name, value in dropout_of(Path(job.base)).items():
            setattr(model.config, name, value)
    with _appearing(folder / MODEL) as temporary:
        model.save_pretrained(temporary)
        trainer.processing_class.save_pretrained(temporary)
    with _appearing(models.bfloat16_form(folder / MODEL)) as temporary:
        write_bfloat16(folder / MODEL, temporary, job.random_seed, folder.name)


@contextmanager
def _appearing(final: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `final` once all its files are on disk."""
    temporary = owned.unfinished(final)
    yield temporary
    flush(*temporary.rglob("*"))
    owned.put(temporary, final)


class _Clock:
    """In place of a `Watch`: records the end of each step, and stops when time is up."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.ends: list[float] = []

    def on_step_end(self, _: Any, __: Any, control: Any, **___: Any) -> None:
        """Note the time."""
        self.ends.append(time.monotonic())
        if len(self.ends) > 1 and self.ends[-1] > self._until:
            control.should_training_stop = True

    def on_log(self, *_: Any, **__: Any) -> None:
        """Write nothing."""

    on_save = on_log


def rehearse(job: Job, seconds: float) -> tuple[int, float]:
    """Return (tokens, seconds) of `REHEARSED` steps of a training, or fewer when time is up, without the first step.

    Raises:
        EmptyStep: no example leaves anything to learn.
    """
    model, tokenizer = _base(job)
    rows, _ = _rows(job, tokenizer)
    if not rows:
        raise EmptyStep(
            f"none of {len(job.examples)} examples leaves anything to learn in {job.options.max_tokens} tokens"
        )
    batches = arrange(rows, REHEARSED, job.options.batch_size or len(rows), job.random_seed)
    clock: Any = _Clock(seconds)
    with TemporaryDirectory() as folder, _without_bars():
        arguments = (job.options, job.random_seed, clock, Path(folder))
        build_trainer(model, tokenizer, rows, batches, *arguments).train()
    timed = batches[1 : len(clock.ends)]
    return sum(rows[index].tokens for batch in timed for index in batch), clock.ends[-1] - clock.ends[0]
