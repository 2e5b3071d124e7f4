"""Training M_yx and M_0 … M_t: examples → a checkpoint, through TRL's `SFTTrainer` (method.md 1.5).

As in the paper: loss on the output tokens alone (the stop token among them), learning rate falling linearly to 0.9 of
itself, weight decay 0.1, batches of 32 (8 for small sets), steps by the number of examples. What the paper leaves out is
left at the libraries' defaults: AdamW with betas 0.9 and 0.999, gradients clipped to norm 1, no warm-up. Departures:

* No dropout. The paper states 0.1, but a stock LLaMA has no dropout layers; `lora.dropout` sets it for adapters.
* Weights are float32 and the arithmetic bfloat16 (autocast): a bfloat16 weight loses updates of 1e-5 to rounding.
* Batches hold examples of like length, so that little is padding. Which examples share a batch still changes each epoch.

One loss, one order: the same job gives the same model, killed and resumed or not, on the same machine.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from askback import prompts
from askback.config import Lora, Training
from askback.errors import EmptyStep, InputError, Interrupted, RecipeError
from askback.execution.shards import atomic
from askback.lookup import nearest
from askback.records import Example, record_id

if TYPE_CHECKING:
    import torch

PAPER_STEPS = (
    (100, 8, 30),
    (800, 8, 300),
    (1600, 8, 600),
    (3200, 32, 500),
    (6400, 32, 600),
    (12800, 32, 600),
    (25600, 32, 1200),
    (51200, 32, 1600),
)
"""(examples, batch, steps) of the paper's data-scaling runs (method.md 1.5)."""

WINDOW = 8
"""Batches whose examples are sorted by length together: enough to leave little padding, few enough to keep chance."""

SAVING_SHARE = 20
"""Training takes at least so many times as long as saving checkpoints does."""

MASKED = -100
"""Label of a token that is not learnt."""


@dataclass(frozen=True)
class Job:
    """All a training process needs; picklable.

    `base` is a local model folder, `chat_template` the path of a Jinja file or "". In `folder`, ``model`` will be the
    finished checkpoint, ``checkpoints`` holds resumable ones meanwhile, and ``metrics.jsonl`` has a line per step.
    `checkpoint_seconds` is the least time between two checkpoints.
    """

    base: str
    chat_template: str
    direction: Literal["backward", "forward"]
    options: Training
    examples: list[Example]
    folder: str
    random_seed: int
    checkpoint_seconds: float = 300.0


class Row(NamedTuple):
    """A tokenised example: the prompt, and the answer to learn."""

    id: str
    prompt: list[int]
    answer: list[int]
    truncated: bool


def finetune(job: Job, report: Callable[[int, int], None]) -> dict[str, float | int]:
    """Train from `job.base` on `job.examples` and write ``folder/model``; go on from a checkpoint if there is one.

    `report(steps, tokens)` is told after every step; steps found done are told first, with 0 tokens. If it raises
    `Interrupted`, a checkpoint is saved before that goes on. A job already finished in this folder is not done again.

    Returns:
        steps, examples, epochs, tokens and label_tokens (no padding), truncated (examples cut to `max_tokens`), left_out
        (examples of which nothing to learn fits), first_loss and final_loss (of the first and last step, nats per label
        token), seconds (of training, over all attempts).

    Raises:
        InputError: the base model or template is unusable, or the loss is no longer a number.
        RecipeError: an option is wrong.
        EmptyStep: there is nothing to train on.
    """
    assert all(example.split != "held-out" for example in job.examples), "held-out examples are never trained on"
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark = fingerprint(job)
    if (done := _finished(folder, mark)) is not None:
        return done
    check_options(job.options)
    tokenizer = load_tokenizer(job.base, job.chat_template)
    rows = [row for example in job.examples if (row := tokenize(tokenizer, example, job))]
    if not rows:
        raise EmptyStep(
            f"{folder.name}: none of {len(job.examples)} examples fits {job.options.max_tokens} tokens; raise max_tokens"
        )
    batch_size = job.options.batch_size or batch_size_for(len(job.examples))
    steps = job.options.steps or steps_for(len(job.examples), batch_size)
    batches = arrange(rows, steps, batch_size, job.random_seed)
    watch = Watch(job, mark, [sum(_length(rows[index]) for index in batch) for batch in batches], report)
    trainer = _trainer(job, tokenizer, rows, batches, watch)
    trainer.train(resume_from_checkpoint=watch.resume())
    if watch.stopped:
        raise watch.stopped
    metrics = _metrics(job, rows, batches) | watch.metrics()
    _save(job, trainer, folder)
    with atomic(folder / "result.json") as path:
        path.write_text(json.dumps({"job": mark, "metrics": metrics}), "utf-8")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return metrics


def fingerprint(job: Job) -> str:
    """Return a hash of all that defines the job's result, so that nothing of another job is ever resumed."""
    template = Path(job.chat_template).read_text("utf-8") if job.chat_template else ""
    options = json.dumps(job.options.model_dump(), sort_keys=True)
    examples = [text for one in job.examples for text in (one.id, one.instruction, one.output, one.origin)]
    return record_id(job.base, template, job.direction, options, str(job.random_seed), *examples)


def _finished(folder: Path, mark: str) -> dict[str, float | int] | None:
    try:
        result = json.loads((folder / "result.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return result["metrics"] if result["job"] == mark and (folder / "model").is_dir() else None


# How long to train.


def batch_size_for(examples: int) -> int:
    """Return the paper's batch: 32, or 8 under 3,000 examples (method.md 1.5)."""
    return 8 if examples < 3000 else 32


def steps_for(examples: int, batch_size: int) -> int:
    """Return optimiser steps by the paper's table (method.md 1.5), exactly at its rows.

    Between two rows the number of epochs goes linearly with the logarithm of the number of examples; beyond the ends it
    stays that of the end row (2.4 below 100 examples, 1 above 51,200).
    """
    return max(1, round(_epochs(examples) * examples / batch_size))


def _epochs(examples: int) -> float:
    table = [(count, batch * steps / count) for count, batch, steps in PAPER_STEPS]
    if examples <= table[0][0]:
        return table[0][1]
    for (below, left), (above, right) in pairwise(table):
        if examples <= above:
            return left + (right - left) * math.log(examples / below) / math.log(above / below)
    return table[-1][1]


# From examples to tokens.


def load_tokenizer(base: str, chat_template: str) -> Any:
    """Load the base model's tokenizer, with the chat template of the recipe if it gives one.

    Raises:
        InputError: there is no tokenizer, no template, or no stop token.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise InputError(f"{base}: no usable tokenizer: {' '.join(str(error).split())}") from error
    if chat_template:
        try:
            tokenizer.chat_template = Path(chat_template).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{chat_template}: cannot read the chat template: {error}") from error
    if not tokenizer.chat_template:
        raise InputError(f"{base}: its tokenizer has no chat template; give one with chat_template:")
    if tokenizer.eos_token is None:
        raise InputError(f"{base}: its tokenizer has no stop token (eos_token), so a model could not learn to stop")
    return tokenizer


def tokenize(tokenizer: Any, example: Example, job: Job) -> Row | None:
    """Return the tokens of an example in the job's direction, cut to `max_tokens`; None if no token to learn would fit."""
    cut = _backward if job.direction == "backward" else _forward
    return cut(tokenizer, example, job.options.max_tokens)


def _forward(tokenizer: Any, example: Example, max_tokens: int) -> Row | None:
    """Instruction → output. An output that is too long loses its end, and with it the stop token: it did not end there."""
    prompt, answer = prompts.render_pair(tokenizer, prompts.forward(example.instruction, example.origin), example.output)
    room = max_tokens - len(prompt)
    return Row(example.id, prompt, answer[:room], len(answer) > room) if room > 0 else None


def _backward(tokenizer: Any, example: Example, max_tokens: int) -> Row | None:
    """Output → instruction. The instruction stays whole; an output that is too long loses its end inside the prompt."""

    def shown(characters: int) -> Row | None:
        prompt = prompts.backward(example.output[:characters])
        asked, answer = prompts.render_pair(tokenizer, prompt, example.instruction)
        whole = characters == len(example.output)
        return Row(example.id, asked, answer, not whole) if len(asked) + len(answer) <= max_tokens else None

    if row := shown(len(example.output)):
        return row
    fits, over = 0, len(example.output)
    while over - fits > 1:
        middle = (fits + over) // 2
        if found := shown(middle):
            row, fits = found, middle
        else:
            over = middle
    return row


def _length(row: Row) -> int:
    return len(row.prompt) + len(row.answer)


# The order of the data.


def arrange(rows: Sequence[Row], steps: int, batch_size: int, seed: int) -> list[list[int]]:
    """Return, for each step, which rows it takes, shortest first; a pure function of the seed and the rows' ids and lengths.

    Every epoch is shuffled anew, and the next begins where it ends, so all batches are full. Within windows of `WINDOW`
    batches of one epoch, rows of like length share a batch; the batches of a window are then shuffled.
    """
    epochs = -(-steps * batch_size // len(rows))
    stream = [index for epoch in range(epochs) for index in _shuffled(rows, seed, epoch)]
    batches = []

    def window(step: int) -> tuple[int, int, int]:
        # A batch across the border of two epochs stands alone, so that no batch gathers copies of one example.
        first, last = step * batch_size, (step + 1) * batch_size - 1
        return first // len(rows), last // len(rows), step // WINDOW

    for _, group in groupby(range(steps), key=window):
        numbers = list(group)
        inside = stream[numbers[0] * batch_size : (numbers[-1] + 1) * batch_size]
        inside.sort(key=lambda index: _length(rows[index]))
        cut = [inside[at : at + batch_size] for at in range(0, len(inside), batch_size)]
        batches += sorted(cut, key=lambda batch: record_id(str(seed), *(rows[index].id for index in batch)))
    return batches


def _shuffled(rows: Sequence[Row], seed: int, epoch: int) -> list[int]:
    return sorted(range(len(rows)), key=lambda index: record_id(str(seed), str(epoch), rows[index].id))


def micro_batch(lengths: Sequence[Sequence[int]], max_tokens: int) -> int:
    """Return the largest divisor of the batch size whose padded micro-batches all hold at most `max_tokens`, or 1.

    `lengths` are the batches' row lengths, shortest row first, so the last row of a micro-batch is its longest.
    """
    batch_size = len(lengths[0])
    for size in range(batch_size, 1, -1):
        if batch_size % size == 0 and all(size * longest <= max_tokens for batch in lengths for longest in batch[size - 1 :: size]):
            return size
    return 1


# The training itself.

MICRO_TOKENS = {"cpu": 4096, "gpu": 16384}
"""Most tokens in one forward and backward pass, padding included; a batch is made of as many passes as it takes."""

OWN = {
    "output_dir": "it is the run's folder",
    "max_steps": "use steps:",
    "num_train_epochs": "use steps:",
    "max_length": "use max_tokens:",
    "chat_template_path": "use chat_template:",
    "eos_token": "examples are tokenised before; use a base model that has it",
    "gradient_accumulation_steps": "it follows from batch_size: and trl.per_device_train_batch_size",
    "auto_find_batch_size": "use per_device_train_batch_size: 1 where memory is short",
    "dataset_kwargs": "the data are tokenised and ordered before",
    "train_sampling_strategy": "the data are tokenised and ordered before",
    "shuffle_dataset": "the data are tokenised and ordered before",
    "packing": "the data are tokenised and ordered before",
    "logging_steps": "metrics.jsonl has every step",
    "logging_strategy": "metrics.jsonl has every step",
    "logging_nan_inf_filter": "training stops when the loss is not a number",
    "resume_from_checkpoint": "a training resumes by itself",
}
"""Options of `SFTConfig` that a recipe's `trl:` may not set, and what to do instead."""


def check_options(options: Training) -> None:
    """Check what a recipe's validation cannot know without TRL.

    Raises:
        RecipeError: `trl` has a key that `SFTConfig` does not know or that would break a promise of this step, or the
            learning rate would rise. Lists all problems.
    """
    from trl import SFTConfig

    allowed = {field.name for field in fields(SFTConfig) if field.init} - OWN.keys()
    problems = [f"trl.{key}: cannot be set here; {OWN[key]}" for key in options.trl if key in OWN]
    unknown = [key for key in options.trl if key not in allowed | OWN.keys()]
    problems += [f"trl.{key}: TRL's SFTConfig has no such option.{nearest(key, allowed)}" for key in unknown]
    if options.final_learning_rate > options.learning_rate:
        problems.append(
            f"final_learning_rate: {options.final_learning_rate} is above learning_rate {options.learning_rate}; "
            "give one that is at most as large"
        )
    if problems:
        raise RecipeError("\n".join(problems))


def _settings(job: Job, lengths: list[list[int]]) -> Any:
    """Return the `SFTConfig`: the recipe's options, what keeps our promises, and the recipe's `trl` on top."""
    import torch
    from trl import SFTConfig

    options, batch_size = job.options, len(lengths[0])
    gpu = torch.accelerator.is_available()
    settings = {
        "per_device_train_batch_size": micro_batch(lengths, MICRO_TOKENS["gpu" if gpu else "cpu"]),
        "learning_rate": options.learning_rate,
        "weight_decay": options.weight_decay,
        "warmup_steps": 0,
        "bf16": _bfloat16_is_fast(),
        "gradient_checkpointing": False,
        "seed": job.random_seed % 2**32,
        "report_to": "none",
        "save_strategy": "no",  # `Watch` says when
        "disable_tqdm": True,
        **_falling(options),
        **options.trl,
    }
    micro = settings["per_device_train_batch_size"]
    if not isinstance(micro, int) or micro < 1 or batch_size % micro:
        raise RecipeError(f"trl.per_device_train_batch_size: {micro} does not divide the batch of {batch_size} examples")
    try:
        return SFTConfig(
            **settings,
            output_dir=str(Path(job.folder) / "checkpoints"),
            max_steps=len(lengths),
            gradient_accumulation_steps=batch_size // micro,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            train_sampling_strategy="sequential",
            logging_steps=1,
            logging_nan_inf_filter=False,
            use_cpu=not gpu,
            use_cache=True,  # only written to the model's config.json, where engines read it
        )
    except (ValueError, TypeError) as error:
        raise RecipeError(f"trl: {' '.join(str(error).split())}") from error


def _falling(options: Training) -> dict[str, Any]:
    """Return the schedule that falls linearly to `final_learning_rate`, unless `trl` names another."""
    if "lr_scheduler_type" in options.trl:
        return {}
    if options.final_learning_rate == options.learning_rate:
        return {"lr_scheduler_type": "constant"}
    kwargs = {"lr_end": options.final_learning_rate, "power": 1.0}
    return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": kwargs}


def _bfloat16_is_fast() -> bool:
    """Tell whether the machine multiplies bfloat16 itself; where it is emulated, float32 is faster."""
    import torch
    from transformers.utils import is_torch_bf16_gpu_available

    if torch.accelerator.is_available():
        return bool(is_torch_bf16_gpu_available())
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def _trainer(job: Job, tokenizer: Any, rows: list[Row], batches: list[list[int]], watch: "Watch") -> Any:
    """Return TRL's trainer on the rows in the order of `batches`."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from transformers.utils.logging import disable_progress_bar
    from trl import SFTTrainer

    disable_progress_bar()

    class Steps(TrainerCallback):  # type: ignore[misc]
        on_step_end = watch.on_step_end
        on_log = watch.on_log
        on_save = watch.on_save

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # TRL's fused head is made for GPUs: elsewhere it scores every position, prompts and padding too.
            plain = self.args.loss_type == "nll" and self.label_smoother is None and not self.aux_loss_enabled
            if self.args.device.type == "cpu" and self.accelerator.num_processes == 1 and plain and not return_outputs:
                return label_loss(model, inputs, num_items_in_batch)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            # From the first of n steps to the last are n - 1 intervals; without this the last would miss its rate.
            return super().create_scheduler(max(1, num_training_steps - 1), optimizer)

        def _send_telemetry(self) -> None:
            """Send nothing: what a user trains on is theirs."""

    data = {
        "input_ids": [row.prompt + row.answer for row in rows],
        "labels": [[MASKED] * len(row.prompt) + row.answer for row in rows],
    }
    settings = _settings(job, [[_length(rows[index]) for index in batch] for batch in batches])
    try:
        trainer = Trainer(
            model=job.base,
            args=settings,
            train_dataset=Dataset.from_dict(data).select([index for batch in batches for index in batch]),
            processing_class=tokenizer,
            peft_config=_adapter(job.options.lora),
            callbacks=[Steps()],
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{job.base}: cannot be trained: {' '.join(str(error).split())}") from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _adapter(lora: Lora | None) -> Any:
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def label_loss(model: Any, inputs: dict[str, "torch.Tensor"], label_tokens: "torch.Tensor | int | None") -> "torch.Tensor":
    """Return the cross-entropy summed over the labels of a micro-batch, divided by those of the whole batch.

    The model's head sees only the positions whose next token is a label. That is the same sum, for a fraction of the
    work where prompts are long, and no logits are held for the rest.
    """
    from torch.nn.functional import cross_entropy

    labels = inputs["labels"][:, 1:]
    learnt = labels != MASKED

    def keep(_: Any, hidden: tuple["torch.Tensor"]) -> "torch.Tensor":
        return hidden[0][:, :-1][learnt].unsqueeze(0)

    with model.get_output_embeddings().register_forward_pre_hook(keep):
        rest = {name: value for name, value in inputs.items() if name != "labels"}
        logits = model(**rest, use_cache=False).logits[0]
    total = cross_entropy(logits.float(), labels[learnt], reduction="sum")
    return total / (learnt.sum().clamp(min=1) if label_tokens is None else label_tokens)


class Watch:
    """What happens around the steps: progress and metrics are told, checkpoints are made, sealed and found again.

    A checkpoint counts once it is sealed: all its files are on disk, and a last one says for which job. A kill at any
    moment leaves the one before.
    """

    SEAL = "sealed"

    def __init__(self, job: Job, mark: str, step_tokens: list[int], report: Callable[[int, int], None]) -> None:
        self.stopped: Interrupted | None = None
        self._job, self._mark, self._step_tokens, self._report = job, mark, step_tokens, report
        self._checkpoints = Path(job.folder) / "checkpoints"
        self._lines = Path(job.folder) / "metrics.jsonl"
        self._pause = job.checkpoint_seconds
        self._earlier = 0.0
        self._began = self._saved = time.monotonic()

    def resume(self) -> str | None:
        """Return the newest sealed checkpoint, or None; remove all others, and metrics of steps after it."""
        sealed = {int(path.name.rpartition("-")[2]): path for path in self._checkpoints.glob("checkpoint-*") if self._is_sealed(path)}
        step = max(sealed, default=0)
        self._keep(sealed.get(step))
        lines = self._lines.read_text("utf-8").splitlines()[:step] if step else []
        with atomic(self._lines) as path:
            path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        self._earlier = json.loads(lines[-1])["seconds"] if lines else 0.0
        self._began = self._saved = time.monotonic()
        if step:
            self._report(step, 0)
        return str(sealed[step]) if step else None

    def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
        """Report, and ask for a checkpoint when the last is old enough, or when we are to stop."""
        try:
            self._report(1, self._step_tokens[state.global_step - 1])
        except Interrupted as stop:
            self.stopped = stop
            control.should_training_stop = True
        old = time.monotonic() - self._saved >= self._pause and state.global_step < state.max_steps
        if old or self.stopped:
            control.should_save = True
            self._saved = time.monotonic()

    def on_log(self, _: Any, state: Any, __: Any, logs: dict[str, float], **___: Any) -> None:
        """Write the step's line of metrics."""
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"{self._job.folder}: the training loss is {logs['loss']} at step {state.global_step}; "
                f"lower learning_rate (now {self._job.options.learning_rate})"
            )
        line = {
            "step": state.global_step,
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "tokens": self._step_tokens[state.global_step - 1],
            "seconds": round(self._earlier + time.monotonic() - self._began, 3),
        }
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def on_save(self, _: Any, state: Any, __: Any, **___: Any) -> None:
        """Seal the checkpoint that has just been written, then remove the one before."""
        checkpoint = self._checkpoints / f"checkpoint-{state.global_step}"
        _sync(self._lines)
        _sync(*checkpoint.rglob("*"))
        with atomic(checkpoint / self.SEAL) as path:
            path.write_text(self._mark, "utf-8")
        self._keep(checkpoint)
        took = time.monotonic() - self._saved
        self._pause = max(self._job.checkpoint_seconds, SAVING_SHARE * took)
        self._saved = time.monotonic()

    def metrics(self) -> dict[str, float | int]:
        """Return what the lines of metrics say of the whole training."""
        lines = [json.loads(line) for line in self._lines.read_text("utf-8").splitlines()]
        return {"first_loss": lines[0]["loss"], "final_loss": lines[-1]["loss"], "seconds": lines[-1]["seconds"]}

    def _is_sealed(self, checkpoint: Path) -> bool:
        seal = checkpoint / self.SEAL
        return seal.is_file() and seal.read_text("utf-8") == self._mark

    def _keep(self, checkpoint: Path | None) -> None:
        for path in self._checkpoints.glob("checkpoint-*"):
            if path != checkpoint:
                # The seal goes first: what is left of a half-removed checkpoint must not count.
                (path / self.SEAL).unlink(missing_ok=True)
                shutil.rmtree(path)


def _metrics(job: Job, rows: list[Row], batches: list[list[int]]) -> dict[str, float | int]:
    used = [rows[index] for batch in batches for index in batch]
    return {
        "steps": len(batches),
        "examples": len(rows),
        "epochs": round(len(used) / len(rows), 3),
        "tokens": sum(_length(row) for row in used),
        "label_tokens": sum(len(row.answer) for row in used),
        "truncated": sum(row.truncated for row in rows),
        "left_out": len(job.examples) - len(rows),
    }


def _save(job: Job, trainer: Any, folder: Path) -> None:
    """Write ``folder/model``, whole or not at all: weights, config, tokenizer and its chat template.

    An adapter is merged into the base model first, since every engine can load a full checkpoint and not every engine an
    adapter.
    """
    model = trainer.model if job.options.lora is None else trainer.model.merge_and_unload()
    temporary, final = folder / "model.tmp", folder / "model"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    model.save_pretrained(temporary)
    trainer.processing_class.save_pretrained(temporary)
    _sync(*temporary.rglob("*"))
    temporary.rename(final)


def _sync(*paths: Path) -> None:
    for path in paths:
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
