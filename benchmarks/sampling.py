"""Sampling and scoring rates of our engines beside plain transformers and vLLM alone.

    python benchmarks/sampling.py --vllm .venv-vllm/bin/python

Same weights in bfloat16, same prompts (the backward model's, about the outputs of the seed), temperature, top-p and longest
answer, in one run, taking turns; medians over the rounds. Each round asks about other texts, so that no side finds a prompt
in a cache of the round before; processes of a side are stopped while it is not its turn, as an idle vLLM takes some of the
machine too. The sides:

ours             the embedded engine, one call
plain generate   transformers' `generate`: batches of `--plain-batch` in the order given, padded on the left
vLLM alone       the LLM class of the vLLM at `--vllm`, in a process of its own, one call
our vLLM         the same vLLM as a server, started and asked by the engine 'vllm_server'

Without `--vllm` the last two are left out. Rates are by wall time; the last column is by CPU time, ours and that of all
processes that we started, which a shared machine stretches less. On a CPU vLLM runs eagerly, with as many threads as we,
and reads prompts whole: its CPU build dies when it reads a seeded one in parts.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from askback import prompts
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.local.loading import load, load_tokenizer
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Completion, Sampling
from askback.engines.protocol import Engine as BaseEngine
from askback.engines.vllm.vllm_server import Server, connected
from askback.models import resolve
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions, Seed, SeedSource
from askback.records import Example, exchange
from askback.seed.load import gather

LEVELS = [f" {level}" for level in range(1, 6)]
LONGEST = 2048
"""Tokens that vLLM makes room for in a row."""
ALONE = """
import json, sys
from vllm import LLM, SamplingParams
slow = {"enforce_eager": True, "enable_chunked_prefill": False} if sys.argv[3] == "cpu" else {}
llm = LLM(sys.argv[1], dtype="bfloat16", max_model_len=int(sys.argv[2]), max_num_batched_tokens=8192, **slow)
for line in sys.stdin:
    asked = json.loads(line)
    params = [SamplingParams(seed=seed, **asked["drawing"]) for seed in range(len(asked["rows"]))]
    found = llm.generate([{"prompt_token_ids": row} for row in asked["rows"]], params, use_tqdm=False)
    print("answer", json.dumps([len(one.outputs[0].token_ids) for one in found]), flush=True)
"""
"""vLLM alone: answers each line of rows with the tokens of each answer."""


class Turn(NamedTuple):
    """One round of one side: seconds by the clock and of CPU time, answers, and their tokens."""

    seconds: float
    cpu: float
    answers: int
    tokens: int


Side = Callable[[list[Example]], list[int]]
"""Does the work for these pairs and returns the tokens of each answer."""


def main() -> None:
    """Measure, and print two tables."""
    options = _options()
    folder = resolve(options.model)
    engine = TransformersLocal(str(folder), EngineOptions())
    sampling = Sampling(options.temperature, options.top_p, options.max_new_tokens)
    asked = [_pairs(options, engine, number) for number in range(options.rounds + 1)]
    others: dict[str, psutil.Process] = {}
    with ExitStack() as stack:
        drawing: dict[str, Side] = {
            "ours": lambda pairs: _tokens(engine.generate(_backward(pairs), sampling, range(len(pairs)))),
            "plain generate": _plain(folder, sampling, options.plain_batch),
        }
        scoring: dict[str, Side] = {"ours": lambda pairs: _scored(engine, pairs)}
        if options.vllm:
            served = stack.enter_context(_served(folder, options.vllm))
            (others["our vLLM"],) = psutil.Process().children()
            drawing["vLLM alone"] = stack.enter_context(_alone(folder, options.vllm, sampling))
            drawing["our vLLM"] = lambda pairs: _tokens(served.generate(_backward(pairs), sampling, range(len(pairs))))
            scoring["our vLLM"] = lambda pairs: _scored(served, pairs)
            (others["vLLM alone"],) = {*psutil.Process().children()} - {others["our vLLM"]}
        drawn, scored = _turns(drawing, asked, others), _turns(scoring, asked, others)
    length = statistics.fmean(len(prompts.render(engine._tokenizer, one)) for one in _backward(asked[1]))
    print(f"{options.model}, {options.prompts} prompts of {length:.0f} tokens, {options.rounds} rounds, medians; "
          f"{torch.get_num_threads()} threads\n")  # fmt: skip
    _show("sampling", drawn)
    _show("scoring", scored)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:smollm2-135m")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output-tokens", type=int, default=400, help="longer texts are cut, for all")
    parser.add_argument("--max-new-tokens", type=int, default=80)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-p", type=float, default=0.9)
    parser.add_argument("--plain-batch", type=int, default=8)
    parser.add_argument("--seed-file", default="builtin:demo")
    parser.add_argument("--seed-format", default="pairs")
    parser.add_argument("--vllm", default="", help="a Python that has vLLM, as make test-vllm installs it")
    return parser.parse_args()


def _pairs(options: argparse.Namespace, engine: TransformersLocal, number: int) -> list[Example]:
    """Return the pairs of one round; the number at a text's end changes its marker, and so nearly the whole prompt."""
    found = gather(Seed(sources=[SeedSource(path=options.seed_file, format=options.seed_format)])).kept
    found = sorted(found, key=lambda one: one.id)
    pairs = []
    for at in range(options.prompts):
        one = found[at % len(found)]
        text = engine.truncate(one.output, options.output_tokens)
        pairs.append(replace(one, messages=exchange(one.instruction, f"{text} [{number}.{at}]")))
    return pairs


def _backward(pairs: list[Example]) -> list[Prompt]:
    return [prompts.backward(pair.output) for pair in pairs]


def _tokens(completions: list[Completion]) -> list[int]:
    assert not any(completion.error for completion in completions)
    return [completion.tokens for completion in completions]


def _scored(engine: BaseEngine, pairs: list[Example]) -> list[int]:
    asked = [prompts.rubric(pair.instruction, pair.output) for pair in pairs]
    return [len(values) for values in engine.choose(asked, LEVELS) if not math.isnan(values[0])]


def _plain(folder: Path, sampling: Sampling, size: int) -> Side:
    model, tokenizer = load(folder, torch.bfloat16)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.eos_token
    drawing = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0, "do_sample": True}

    def work(pairs: list[Example]) -> list[int]:
        rows = [prompts.render(tokenizer, one) for one in _backward(pairs)]
        lengths: list[int] = []
        for at in range(0, len(rows), size):
            batch = tokenizer.pad({"input_ids": rows[at : at + size]}, return_tensors="pt").to(model.device)
            with torch.inference_mode():
                output = model.generate(
                    **batch, **drawing, max_new_tokens=sampling.max_new_tokens, pad_token_id=tokenizer.pad_token_id
                )
            answers = output[:, batch["input_ids"].shape[1] :].tolist()
            tokenizer.batch_decode(answers, skip_special_tokens=True)
            lengths += [next((n for n, token in enumerate(one) if token == tokenizer.eos_token_id), len(one))
                        for one in answers]  # fmt: skip
        return lengths

    return work


@contextmanager
def _served(folder: Path, python: str) -> Iterator[OpenAIHttp]:
    """Run our vLLM server."""
    command = (python, "-m", "vllm.entrypoints.openai.api_server", "--model", "{model}")
    slow = () if torch.cuda.is_available() else ("--enforce-eager", "--no-enable-chunked-prefill")
    arguments = ("--max-model-len", str(LONGEST), "--max-num-batched-tokens", "8192", *slow)
    options = EngineOptions(kind="vllm_server", command=command, arguments=arguments, concurrency=256)
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(folder, options, Path(scratch) / "log", lambda said: print(said, file=sys.stderr))
        try:
            yield OpenAIHttp("", connected(options, server))
        finally:
            server.close()


@contextmanager
def _alone(folder: Path, python: str, sampling: Sampling) -> Iterator[Side]:
    """Run vLLM's own LLM class."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    command = [python, "-c", ALONE, str(folder), str(LONGEST), device]
    drawing = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_new_tokens}
    tokenizer = load_tokenizer(folder)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        asking, answers = process.stdin, process.stdout

        def work(pairs: list[Example]) -> list[int]:
            rows = [prompts.render(tokenizer, one) for one in _backward(pairs)]
            print(json.dumps({"rows": rows, "drawing": drawing}), file=asking, flush=True)
            for line in answers:
                if line.startswith("answer "):
                    return list(json.loads(line.removeprefix("answer ")))
                print(line, end="", file=sys.stderr)
            raise SystemExit("vLLM alone has ended; what it said stands above")

        yield work
        asking.close()


def _turns(
    sides: dict[str, Side], asked: list[list[Example]], others: dict[str, psutil.Process]
) -> dict[str, list[Turn]]:
    """Let every side do every round; the first, of a few pairs, warms up and is not counted.

    Args:
        others: the first process of each side that has its own.
    """
    found: dict[str, list[Turn]] = {name: [] for name in sides}
    for number, pairs in enumerate([asked[0][:4], *asked[1:]]):
        for name, work in sides.items():
            with _stopped(other for side, other in others.items() if side != name):
                began, cpu = time.perf_counter(), cpu_seconds()
                lengths = work(pairs)
                turn = Turn(time.perf_counter() - began, cpu_seconds() - cpu, len(lengths), sum(lengths))
            print(f"{name}, round {number}: {turn}", file=sys.stderr, flush=True)
            found[name] += [turn] if number else []
    return found


@contextmanager
def _stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Stop these and all that they have started, and let them go on afterwards."""
    every = [one for process in processes for one in (process, *process.children(recursive=True))]
    try:
        for one in every:
            one.suspend()
        yield
    finally:
        for one in every:
            one.resume()


def cpu_seconds() -> float:
    """Return the CPU time of this process and all its descendants; of it alone where there is no /proc."""
    found: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(path.parent.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    ours, total = os.getpid(), 0.0
    for pid, (_, seconds) in found.items():
        while pid > 1 and pid != ours and pid in found:
            pid = found[pid][0]
        total += seconds if pid == ours else 0.0
    return total or time.process_time()


def _show(title: str, found: dict[str, list[Turn]]) -> None:
    drawn = title == "sampling"
    print(f"| {title} | prompts/s | {'tokens/s | tokens an answer | tokens' if drawn else 'prompts'}/s of CPU time |")
    print("| --- |" + " ---: |" * (4 if drawn else 2))
    middle = {}
    for name, turns in found.items():
        middle[name] = statistics.median((one.tokens if drawn else one.answers) / one.seconds for one in turns)
        prompts_rate = statistics.median(one.answers / one.seconds for one in turns)
        cpu_rate = statistics.median((one.tokens if drawn else one.answers) / one.cpu for one in turns)
        length = sum(one.tokens for one in turns) / sum(one.answers for one in turns)
        more = f" {middle[name]:.1f} | {length:.0f} |" if drawn else ""
        print(f"| {name} | {prompts_rate:.2f} |{more} {cpu_rate:.1f} |")
    print("\nours is " + ", ".join(f"{middle['ours'] / rate:.2f} times {name}" for name, rate in middle.items()
                                   if name != "ours") + "\n" if len(middle) > 1 else "")  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    main()
