"""Two versions of the source tree, which take turns at training or scoring: the tokens a second of each.

    python benchmarks/turns.py train BEFORE AFTER --seed-file oasst1_train_pairs.jsonl.gz

`BEFORE` and `AFTER` are checkouts. Each has a process of its own, with the model loaded once; medians over the rounds, by
the clock and by processor time, which other work on the machine alters less. `train` is the forward and backward passes of
a few batches of eight pairs, without the optimiser; `choose` reads five digits after the rubric's prompt, `loss` an answer
after its instruction. Tokens are those of rows, each whole, without padding.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

from askback import prompts
from askback.engines.local.transformers_local import TransformersLocal
from askback.models import resolve
from askback.recipe import EngineOptions, Seed, SeedSource, Training
from askback.records import Example
from askback.seed.load import gather

LEVELS = [f" {level}" for level in range(1, 6)]


def main() -> None:
    """Have both versions work by turns, and print a table; as one of them, work once for each line that comes."""
    options = _options()
    if options.alone:
        _work(options)
        return
    sides = {name: _start(root, options) for name, root in (("before", options.before), ("after", options.after))}
    tokens = {name: json.loads(side.stdout.readline()) for name, side in sides.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    began = time.monotonic()
    for number in range(options.rounds):
        if number and time.monotonic() - began > options.seconds * number / (number + 1):
            break
        for name, side in sides.items():
            side.stdin.write("\n")
            side.stdin.flush()
            found[name].append(json.loads(side.stdout.readline()))
            print(f"{name}: {found[name][-1]}", file=sys.stderr, flush=True)
    print(f"{options.work}, {tokens['after']} tokens a round, {len(found['after'])} rounds by turns, medians\n")
    print("| tokens/s | before | after | ratio |\n| --- | ---: | ---: | ---: |")
    for clock in ("wall", "processor"):
        before, after = (tokens[name] / statistics.median(one[clock] for one in found[name]) for name in sides)
        print(f"| {clock} | {before:.0f} | {after:.0f} | {after / before:.2f} |")
    print(f"\nSum of what was computed: {found['before'][0]['sum']:.5f}, {found['after'][0]['sum']:.5f}")
    for side in sides.values():
        side.stdin.close()
        side.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("train", "choose", "loss"))
    parser.add_argument("before", type=Path, nargs="?", default=Path())
    parser.add_argument("after", type=Path, nargs="?", default=Path())
    parser.add_argument("--model", default="builtin:smollm2-135m")
    parser.add_argument("--pairs", type=int, default=24, help="pairs scored in a round")
    parser.add_argument("--batches", type=int, default=3, help="batches trained on in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=200, help="no round begins that would end later")
    parser.add_argument("--max-tokens", type=int, default=1024, help="longest row of a training")
    parser.add_argument("--seed-file", default="builtin:demo")
    parser.add_argument("--alone", action="store_true", help="be one of the two")
    return parser.parse_args()


def _start(root: Path, options: argparse.Namespace) -> Any:
    given = {"--model": options.model, "--pairs": options.pairs, "--max-tokens": options.max_tokens}
    given |= {"--seed-file": options.seed_file, "--batches": options.batches}
    command = [sys.executable, __file__, options.work, "--alone", *(str(one) for pair in given.items() for one in pair)]
    environment = os.environ | {"PYTHONPATH": str(root.resolve() / "src")}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _work(options: argparse.Namespace) -> None:
    pairs = gather(Seed(sources=[SeedSource(path=options.seed_file)])).kept
    made = _training(options, pairs) if options.work == "train" else _scoring(options, pairs[: options.pairs])
    work, tokens = made
    print(tokens, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter(), time.process_time()
        total = work()
        taken = {"wall": time.perf_counter() - began[0], "processor": time.process_time() - began[1], "sum": total}
        print(json.dumps(taken), flush=True)


def _training(options: argparse.Namespace, pairs: list[Example]) -> tuple[Callable[[], float], int]:
    import torch

    from askback.engines.local.loading import load
    from askback.train.trainer import build_trainer
    from askback.train.training_rows import arrange, tokenize

    model, tokenizer = load(resolve(options.model), torch.float32)
    rows = [row for pair in pairs if (row := tokenize(tokenizer, pair, "forward", options.max_tokens))]
    batches = arrange(rows, 3 * options.batches, 8, seed=0)[::3]
    watch: Any = SimpleNamespace(on_step_end=None, on_log=None, on_save=None)
    trainer = build_trainer(model, tokenizer, rows, batches, Training(), 0, watch, Path(mkdtemp()))
    passes = list(trainer.get_train_dataloader())
    learnt = torch.tensor(sum(sum(rows[at].learnt) for batch in batches for at in batch))

    def work() -> float:
        total = 0.0
        for one in passes:
            inputs = trainer._prepare_inputs(dict(one))
            with trainer.compute_loss_context_manager():
                loss = trainer.compute_loss(trainer.model, inputs, num_items_in_batch=learnt)
            loss.backward()
            total += float(loss.detach())
        trainer.model.zero_grad()
        return total

    trainer.model.train()
    return work, sum(rows[at].tokens for batch in batches for at in batch)


def _scoring(options: argparse.Namespace, pairs: list[Example]) -> tuple[Callable[[], float], int]:
    engine = TransformersLocal(str(resolve(options.model)), EngineOptions())
    outputs = [engine.truncate(pair.output, 512) for pair in pairs]
    if options.work == "choose":
        asked = [prompts.rubric(pair.instruction, output) for pair, output in zip(pairs, outputs, strict=True)]
        tokens = sum(len(prompts.render(engine._tokenizer, one)) for one in asked)
        return lambda: sum(map(sum, engine.choose(asked, LEVELS))), tokens
    shown = [prompts.forward(pair.messages[:-1], pair.origin, pair.quality) for pair in pairs]
    rows = (prompts.render_pair(engine._tokenizer, *pair) for pair in zip(shown, outputs, strict=True))
    tokens = sum(len(one) + len(answer) for one, answer in rows)
    return lambda: sum(one.logprob for one in engine.loglikelihood(shown, outputs)), tokens


if __name__ == "__main__":
    main()
