"""How near the embedded engine and a training loop come to what a card can do, for any machine with CUDA.

    PYTHONPATH=src python benchmarks/gpu.py                # the bundled weights, and random ones of 1 and 7 billion
    PYTHONPATH=src python benchmarks/gpu.py --models random-1b --json > gpu.jsonl   # askback plan RECIPE --rates gpu.jsonl

With `--json`, each figure is a line as soon as it is known. Needs torch and transformers, and this source tree on the path.
`--tiny` tries the script out on any machine: its figures mean nothing.

Three kinds of work, on prompts of random tokens that begin alike, as ours do: `augment` draws an answer of fixed length to
each prompt, `score` reads the log-probabilities of five choices after each, `train` makes steps on rows whose second half
is learnt, with AdamW: float32 weights under bfloat16 autocast where these fit into the free memory, else bfloat16 ones.

The peaks are the card's own, measured in the same run: a bfloat16 product of two square matrices, and a copy (every byte is
read and written, so it counts twice). What has to be done, for N weights in the matrices of the layers and the head where
logits are wanted: 2·N operations a token read, three times that a token trained, and 4·heads·head size for every layer,
token and token that it looks back at. What has to be moved: the weights once a pass of the model, and in augment the keys
and values of all a row has read before, once a token drawn; a training step reads the weights twice, writes and reads the
gradients, and reads and writes weights and both moments. Operations on padding count as time only, as all else.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from askback import models
from askback.engines.batching import Row
from askback.engines.local import transformers_local
from askback.engines.local.kv_cache import head_size, token_bytes
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Sampling

SIZES: dict[str, dict[str, int]] = {
    "random-tiny": {"hidden_size": 64, "intermediate_size": 128, "layers": 2, "heads": 4, "kv_heads": 2, "vocab": 512},
    "random-1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "layers": 16,
        "heads": 32,
        "kv_heads": 8,
        "vocab": 128256,
    },
    "random-7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "layers": 32,
        "heads": 32,
        "kv_heads": 32,
        "vocab": 32000,
    },
}
"""The shapes of Llama 3.2 1B and of Llama 2 7B."""
MOST_ROWS = 1024


@dataclass(frozen=True)
class Work:
    """How much is asked of the card: `row` tokens in a prompt, of which all share `shared`; the rest by name."""

    row: int
    shared: int
    answer: int
    train_row: int
    train_tokens: int
    steps: int
    matrix: int
    copied: int


FULL = Work(512, 64, 64, 1024, 32768, 5, 8192, 2**30)
TINY = Work(24, 8, 6, 32, 64, 2, 256, 2**20)


@dataclass(frozen=True)
class Done:
    """One kind of work done: tokens drawn, read or trained on, what that needed, and seconds; `read` are tokens of prompts
    that were read for those that were drawn."""

    model: str
    work: str
    rows: int
    tokens: int
    operations: float
    moved: float
    seconds: float
    note: str = ""
    read: int = 0


@dataclass(frozen=True)
class Figure:
    """What one kind of work reached, by the tokens a second of its kind, and what it took (plan/machine.py)."""

    model: str
    work: str
    rows: int
    tokens_per_s: float
    tflops: float
    of_matrix_peak: float
    gb_per_s: float
    of_copy_peak: float
    note: str
    prompt: int
    output: int
    train: int
    seconds: float


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    work, names = (TINY, ["random-tiny"]) if options.tiny else (FULL, options.models.split(","))
    card = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    flops, moved = matrix_peak(device, work.matrix), copy_peak(device, work.copied)
    if not options.json:
        print(f"{card}, torch {torch.__version__}; measured peaks: {flops / 1e12:.1f} TFLOP/s in bfloat16 products, "
              f"{moved / 1e9:,.0f} GB/s in a copy\n")  # fmt: skip
        heads = "| model | work | rows | tokens/s | TFLOP/s | of the peak | GB/s | of the copy |\n| --- | --- |"
        print(heads + " ---: |" * 6, flush=True)
    about = {"card": card, "torch": torch.__version__, "matrix_tflops": flops / 1e12, "copy_gb_per_s": moved / 1e9}
    for name, measure in itertools.product(names, (augment, score, train)):
        one = reached(measure(name, work, device), flops, moved)
        if options.json:
            parameters = sum(weight.numel() for weight in _model(name, "meta", torch.bfloat16).parameters())
            print(json.dumps({**about, "parameters": parameters, **asdict(one)}), flush=True)
        else:
            print(f"| {one.model} | {one.work}{one.note} | {one.rows} | {one.tokens_per_s:,.0f} | {one.tflops:.2f} | "
                  f"{one.of_matrix_peak:.1%} | {one.gb_per_s:,.1f} | {one.of_copy_peak:.1%} |", flush=True)  # fmt: skip
        if device == "cuda":
            torch.cuda.empty_cache()


def reached(done: Done, flops: float, moved: float) -> Figure:
    """Return what that is a second, and of the peaks."""
    operations, rate = done.operations / done.seconds, done.moved / done.seconds
    return Figure(
        done.model,
        done.work,
        done.rows,
        done.tokens / done.seconds,
        operations / 1e12,
        operations / flops,
        rate / 1e9,
        rate / moved,
        done.note,
        done.tokens if done.work == "score" else done.read,
        done.tokens if done.work == "augment" else 0,
        done.tokens if done.work == "train" else 0,
        done.seconds,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", default="builtin:smollm2-135m,random-1b,random-7b", help="or folders of checkpoints"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if not (torch.cuda.is_available() or options.tiny):
        parser.error("there is no CUDA device here; --tiny tries the script out without one")
    return options


def matrix_peak(device: str, size: int) -> float:
    """Return operations per second of a bfloat16 product of two square matrices, the best of ten."""
    one, other = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    return 2 * size**3 / min(_seconds(lambda: one @ other, device) for _ in range(10))


def copy_peak(device: str, size: int) -> float:
    """Return bytes per second, read and written, of a copy within the memory, the best of ten."""
    one = torch.zeros(size, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    return 2 * size / min(_seconds(lambda: other.copy_(one), device) for _ in range(10))


def augment(name: str, work: Work, device: str) -> Done:
    """Draw answers through the embedded engine, as many rows at once as half of the free memory holds."""
    model = _model(name, device, torch.bfloat16)
    engine, config = _engine(model), model.config
    per_token = token_bytes(model)
    rows = 4 if device == "cpu" else min(MOST_ROWS, int(_free() / 2 / per_token / (work.row + 2 * work.answer)))
    engine._draw_tokens = rows * (work.row + work.answer)
    prompts = _prompts(work, rows, config.vocab_size)
    passes = 0

    def count(*_: Any) -> None:
        nonlocal passes
        passes += 1

    engine._draw(prompts[: 2 * (rows // 16 or 1)], Sampling(1.0, 1.0, 2), [1] * len(prompts[: 2 * (rows // 16 or 1)]))
    with model.register_forward_pre_hook(count):
        answers: list[list[int]] = []
        seconds = _seconds(
            lambda: answers.extend(engine._draw(prompts, Sampling(0.7, 0.9, work.answer), list(range(rows)))), device
        )
    tokens = sum(map(len, answers))
    spans = [(work.shared, work.row)] * rows + [(work.row, work.row + len(answer) - 1) for answer in answers]
    needed = _operations(model, [(0, work.shared), *spans], heads=tokens)
    back = sum(end - start for start, end in spans[rows:]) * (work.row + work.answer / 2)
    moved = passes * 2 * _weights(model) + back * per_token
    read = work.shared + rows * (work.row - work.shared)
    return Done(name, "augment", rows, tokens, needed, moved, seconds, read=read)


def score(name: str, work: Work, device: str) -> Done:
    """Read five choices after each prompt through the embedded engine."""
    model = _model(name, device, torch.bfloat16)
    engine = _engine(model)
    count = 8 if device == "cpu" else 512
    rows = [Row(ids, [(len(ids) - 1, token) for token in range(1, 6)])
            for ids in _prompts(work, count, model.config.vocab_size)]  # fmt: skip
    passes = 0

    def seen(*_: Any) -> None:
        nonlocal passes
        passes += 1

    engine._score(rows[:4], engine._read_tokens, precise=True)
    with model.register_forward_pre_hook(seen):
        seconds = _seconds(lambda: engine._score(rows, engine._read_tokens, precise=True), device)
    spans = [(0, work.shared)] + [(work.shared, work.row)] * count
    needed = _operations(model, spans, heads=count)
    read = work.shared + count * (work.row - work.shared)
    return Done(name, "score", count, read, needed, passes * 2 * _weights(model), seconds)


def train(name: str, work: Work, device: str) -> Done:
    """Make training steps; tokens are those of whole rows."""
    sixteen = device == "cuda" and 16 * _weights(_model(name, "meta", torch.bfloat16)) > 0.6 * _free()
    size = 2 if sixteen else 4
    model = _model(name, device, torch.bfloat16 if sixteen else torch.float32).train()
    model.config.use_cache = False
    if device == "cuda":
        model.gradient_checkpointing_enable()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=device == "cuda")
    rows = max(1, work.train_tokens // work.train_row)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, model.config.vocab_size, (rows, work.train_row), generator=generator).to(device)
    learnt = torch.zeros_like(ids, dtype=torch.bool)
    learnt[:, work.train_row // 2 - 1 : -1] = True
    part = max(1, min(rows, 4096 // work.train_row))

    def step() -> None:
        for at in range(0, rows, part):
            few, kept = ids[at : at + part], learnt[at : at + part]
            with torch.autocast(device, torch.bfloat16):
                logits = model(few, logits_to_keep=kept).logits
            targets = few[:, 1:][kept[:, :-1]]
            loss = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / int(learnt.sum())
            loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()

    def steps() -> None:
        for _ in range(work.steps):
            step()

    step()
    seconds = _seconds(steps, device)
    needed = 3 * _operations(model, [(0, work.train_row)] * rows, heads=int(learnt.sum()))
    # A pass reads the weights forward and backward and adds to the gradients; then the optimiser reads and writes.
    moved = _weights(model) * size * (4 * -(-rows // part) + 7)
    note = ", bfloat16 weights" if sixteen else ""
    tokens = rows * work.train_row
    return Done(name, "train", rows, work.steps * tokens, work.steps * needed, work.steps * moved, seconds, note)


def _model(name: str, device: str, dtype: torch.dtype) -> Any:
    """Return a model on the device: a checkpoint's weights, or random ones."""
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    if name in SIZES:
        size = SIZES[name]
        config = LlamaConfig(
            vocab_size=size["vocab"],
            hidden_size=size["hidden_size"],
            intermediate_size=size["intermediate_size"],
            num_hidden_layers=size["layers"],
            num_attention_heads=size["heads"],
            num_key_value_heads=size["kv_heads"],
            max_position_embeddings=8192,
        )
        with torch.device(device):
            return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    from askback.models import resolve

    folder = resolve(name)
    if device == "meta":
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=dtype)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()


def _engine(model: Any) -> TransformersLocal:
    """Return the embedded engine on a model in memory; the last token is the one that stops, and hardly ever drawn."""
    tokenizer = SimpleNamespace(eos_token_id=model.config.vocab_size - 1, name_or_path="random", decode=str)
    model.get_output_embeddings().weight.data[-1] = 0
    options: Any = SimpleNamespace(dtype="bfloat16", batch_tokens=None)
    with ExitStack() as stack:
        stack.enter_context(patch.object(transformers_local, "load", lambda *_: (model, tokenizer)))
        stack.enter_context(patch.object(models, "check_model", lambda *_: None))
        return TransformersLocal("random", options)


def _prompts(work: Work, rows: int, vocabulary: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocabulary - 1, (rows, work.row), generator=generator)
    ids[:, : work.shared] = ids[0, : work.shared]
    return list(ids.tolist())


def _operations(model: Any, spans: list[tuple[int, int]], heads: int) -> float:
    """Return the operations of reading tokens `start` to `end` of rows, and of `heads` rows of logits."""
    config = model.config
    inner = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear)) - _head(model)
    tokens = sum(end - start for start, end in spans)
    back = sum((end * (end + 1) - start * (start + 1)) / 2 for start, end in spans)
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * head_size(config) * back
    return float(2 * inner * tokens + 2 * _head(model) * heads + attention)


def _weights(model: Any) -> int:
    """Return how many weights a pass reads: all, but of the embeddings only where they are the head too."""
    embeddings = model.get_input_embeddings().weight
    tied = model.get_output_embeddings().weight is embeddings
    return int(sum(weight.numel() for weight in model.parameters()) - (0 if tied else embeddings.numel()))


def _head(model: Any) -> int:
    return int(model.get_output_embeddings().weight.numel())


def _free() -> int:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 2**30


def _seconds(work: Callable[[], Any], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
