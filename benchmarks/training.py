"""Training tokens per second: ours against SFTTrainer's defaults, and that both learn the same.

    python benchmarks/training.py --steps 8 --rounds 2

Same model, same rows in each step, same optimiser, learning rate and bfloat16 autocast, in one process, taking turns. Ours
is what a run does (train/trainer.py). The peer is given the same tokens and labels and otherwise decides for itself: it
recomputes activations, takes eight rows at a time and pads them, and on a CPU has logits for every position. It runs
twice: in our order of rows, which groups them by length, so that the losses of each step can be laid side by side; and in
its own, at random, where more is padding and only the time can be compared.

Tokens are those of the rows, without padding. A step's time is its wall time, and its processor time beside that, which
another program on the machine disturbs less. The first step of each turn warms up and counts for its loss alone.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch

from askback.engines.local.loading import load
from askback.models import resolve
from askback.recipe import Seed, SeedSource, Training
from askback.seed.load import gather
from askback.train.checkpoints import Watch
from askback.train.trainer import build_trainer, labels
from askback.train.training_rows import Row, arrange, schedule, tokenize


@dataclass
class Timed:
    """What one way of training took: a figure for each step, over all rounds."""

    tokens: list[int] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def rate(self, seconds: list[float]) -> float:
        """Return the median over steps of tokens per second."""
        return statistics.median(tokens / taken for tokens, taken in zip(self.tokens, seconds, strict=True))


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    folder = resolve(options.model)
    training = Training(batch_size=options.batch_size, steps=options.steps, max_tokens=options.max_tokens)
    _, tokenizer = load(folder, torch.float32)
    rows = _rows(options, tokenizer)
    steps = schedule(training, len(rows)).steps
    batches = arrange(rows, steps, options.batch_size, 0)
    found = {name: Timed() for name in ("ours", "peer", "shuffled")}
    for _ in range(options.rounds):
        for name, timed in found.items():
            with tempfile.TemporaryDirectory() as work:
                model, _ = load(folder, torch.float32)
                if name == "ours":
                    watch = Watch(Path(work), "mark", [0] * steps, float("inf"), lambda *_: None)
                    trainer = build_trainer(model, tokenizer, rows, batches, training, 0, watch, Path(work) / "x")
                else:
                    trainer = _peer(model, tokenizer, rows, batches, training, Path(work), name == "shuffled")
                _train(trainer, timed)
            print(f"{name}: {timed.rate(timed.wall):.0f} tokens/s", file=sys.stderr, flush=True)
    _show(options, rows, batches, found)


def _show(options: argparse.Namespace, rows: list[Row], batches: list[list[int]], found: dict[str, Timed]) -> None:
    ours, peer, shuffled = found.values()
    tokens = statistics.fmean(rows[at].tokens for batch in batches for at in batch)
    learnt = statistics.fmean(sum(rows[at].learnt) for batch in batches for at in batch)
    print(
        f"{options.model}, {options.direction}, {len(batches)} steps of {options.batch_size} rows of {tokens:.0f} tokens "
        f"({learnt:.0f} of them learnt), {options.rounds} rounds, {torch.get_num_threads()} threads; medians over steps\n"
    )
    print("| training | tokens/s | tokens per processor second |\n| --- | ---: | ---: |")
    said = ("ours", "SFTTrainer's defaults, rows in our order", "SFTTrainer's defaults, rows in its own order")
    for name, timed in zip(said, found.values(), strict=True):
        print(f"| {name} | {timed.rate(timed.wall):.0f} | {timed.rate(timed.processor):.0f} |")
    for name, timed in (("in our order", peer), ("in its own", shuffled)):
        print(
            f"\n{ours.rate(ours.wall) / timed.rate(timed.wall):.2f} times the tokens/s of the defaults {name}, "
            f"{ours.rate(ours.processor) / timed.rate(timed.processor):.2f} times by processor time.", end="",
        )  # fmt: skip
    gap = max(abs(one - other) for one, other in zip(ours.losses, peer.losses, strict=True))
    print(f"\nLosses of the steps differ by {gap:.4f} at most: {_pairs(ours.losses, peer.losses)}")


def _pairs(ours: Iterable[float], theirs: Iterable[float]) -> str:
    return ", ".join(f"{one:.4f}/{other:.4f}" for one, other in zip(ours, theirs, strict=True))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:smollm2-135m")
    parser.add_argument("--direction", default="forward", choices=("forward", "backward"))
    parser.add_argument("--steps", type=int, default=8, help="two at least, as the first is not timed")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--seed-file", default="builtin:demo")
    parser.add_argument("--seed-format", default="pairs")
    return parser.parse_args()


def _rows(options: argparse.Namespace, tokenizer: Any) -> list[Row]:
    pairs = gather(Seed(sources=[SeedSource(path=options.seed_file, format=options.seed_format)])).kept
    found = (tokenize(tokenizer, pair, options.direction, options.max_tokens) for pair in pairs)
    return [row for row in found if row]


def _peer(
    model: Any,
    tokenizer: Any,
    rows: list[Row],
    batches: list[list[int]],
    options: Training,
    work: Path,
    shuffled: bool,
) -> Any:
    """Return an `SFTTrainer` with nothing set but what makes the two comparable."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    used = [rows[at] for batch in batches for at in batch]
    data = {
        "input_ids": [row.ids for row in used],
        "labels": [labels(row) for row in used],
    }
    settings = SFTConfig(
        output_dir=str(work),
        max_steps=len(batches),
        per_device_train_batch_size=min(8, len(batches[0])),  # eight is the default
        gradient_accumulation_steps=max(1, len(batches[0]) // 8),
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        lr_scheduler_type="polynomial",
        lr_scheduler_kwargs={"lr_end": options.final_learning_rate, "power": 1.0},
        train_sampling_strategy="random" if shuffled else "sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(model, settings, train_dataset=Dataset.from_dict(data), processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _train(trainer: Any, timed: Timed) -> None:
    """Train, and time every step but the first."""
    from transformers import TrainerCallback

    read, began = [0], [0.0, 0.0]
    training_step = trainer.training_step

    def counted(model: Any, inputs: Any, *rest: Any) -> Any:
        read[0] += int(inputs["attention_mask"].sum())
        return training_step(model, inputs, *rest)

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            read[0] = 0
            began[:] = [time.perf_counter(), time.process_time()]

        def on_step_end(self, _: Any, state: Any, __: Any, **___: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if state.global_step > 1:
                timed.tokens.append(read[0])
                timed.wall.append(time.perf_counter() - began[0])
                timed.processor.append(time.process_time() - began[1])

        def on_log(self, _: Any, __: Any, ___: Any, logs: dict[str, float], **____: Any) -> None:
            if "loss" in logs:
                timed.losses.append(logs["loss"])

    trainer.training_step = counted
    trainer.add_callback(Clock())
    trainer.train()


if __name__ == "__main__":
    main()
