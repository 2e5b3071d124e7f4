"""Scoring pairs per second: ours against generating a judgement and parsing it; and ours against the machine.

    python benchmarks/scoring.py --pairs 32 --rounds 3

Same model, same pairs, same process, the two taking turns; medians over the rounds. The peer is what the public
reproduction of the paper and distilabel do: transformers' `generate`, batched by length, a reasoning and then a score, 256
new tokens drawn at temperature 0.7 (forced to that length, so that it does not depend on how much a model has to say).

The share of the machine: floating-point operations that have to be done, over seconds, over the rate of bfloat16 matrix
products of the model's own shapes in the same run. What has to be done, for T tokens of all prompts with the prefix they
share counted once, and N weights in the layers' matrices: 2·N·T; the output head once a pair, 2·width·vocabulary; and
attention, 4·heads·head size for every layer, token and token before it (itself included). Padding, tokens read twice and
all that is no matrix product count as time only.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from askback import prompts
from askback.curate.scorers.parse import parse
from askback.curate.scorers.rubric import SCORER as RUBRIC
from askback.engines.batching import batches, common_prefix
from askback.engines.local.kv_cache import head_size
from askback.engines.local.loading import load
from askback.engines.local.transformers_local import TransformersLocal
from askback.models import resolve
from askback.recipe import EngineOptions, Score, Seed, SeedSource
from askback.records import Example, exchange
from askback.seed.load import gather

NEW_TOKENS = 256
PEER_TOKENS = 8192
"""Tokens of all rows the peer draws together; more was no faster on a CPU."""


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    folder = resolve(options.model)
    engine = TransformersLocal(str(folder), EngineOptions())
    model, tokenizer = load(folder, torch.bfloat16)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    pairs = _pairs(options, engine)
    asked = [prompts.render(tokenizer, prompts.rubric(pair.instruction, pair.output)) for pair in pairs]
    needed = flops(model.config, model, asked)
    _ours(engine, pairs[:2])

    seconds: dict[str, list[float]] = {"ours": [], "peer": [], "peak": []}
    scored = {"ours": 0, "peer": 0}
    for number in range(options.rounds):
        seconds["peak"].append(1 / peak(model))
        taken, scored["ours"] = _timed(_ours, engine, pairs)
        seconds["ours"].append(taken)
        torch.manual_seed(number)
        taken, scored["peer"] = _timed(_peer, model, tokenizer, pairs)
        seconds["peer"].append(taken)
    ours, theirs, fastest = (statistics.median(seconds[name]) for name in ("ours", "peer", "peak"))
    tokens = statistics.fmean(map(len, asked))
    print(f"{options.model}, {len(pairs)} pairs of {tokens:.0f} prompt tokens, {options.rounds} rounds, medians\n")
    print("| scoring | pairs/s | scored |\n| --- | ---: | ---: |")
    print(f"| digits' probabilities | {len(pairs) / ours:.2f} | {scored['ours']} of {len(pairs)} |")
    print(f"| generate {NEW_TOKENS} tokens and parse | {len(pairs) / theirs:.2f} | {scored['peer']} of {len(pairs)} |")
    print(f"\n{theirs / ours:.1f} times the pairs/s.")
    print(f"{needed / 1e9:,.0f} GFLOP needed, {needed / ours / 1e9:,.0f} GFLOP/s reached, matrix products alone "
          f"{1 / fastest / 1e9:,.0f} GFLOP/s: {needed / ours * fastest:.0%} of the peak.")  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:smollm2-135m")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output-tokens", type=int, default=512, help="longer outputs are cut, for both")
    parser.add_argument("--seed-file", default="builtin:demo")
    parser.add_argument("--seed-format", default="pairs")
    return parser.parse_args()


def _pairs(options: argparse.Namespace, engine: TransformersLocal) -> list[Example]:
    """Return so many pairs; with fewer in the file, each instruction stands beside several outputs."""
    found = gather(Seed(sources=[SeedSource(path=options.seed_file, format=options.seed_format)])).kept
    crossed = [
        replace(
            one, id=f"{one.id}-{shift}", messages=exchange(one.instruction, found[(at + shift) % len(found)].output)
        )
        for shift in range(-(-options.pairs // len(found)))
        for at, one in enumerate(found)
    ]
    return [
        replace(one, messages=exchange(one.instruction, engine.truncate(one.output, options.output_tokens)))
        for one in crossed[: options.pairs]
    ]


def _timed(work: Callable[..., int], *arguments: Any) -> tuple[float, int]:
    began = time.perf_counter()
    scored = work(*arguments)
    return time.perf_counter() - began, scored


def _ours(engine: TransformersLocal, pairs: Sequence[Example]) -> int:
    judgements = RUBRIC.judge(engine, "model", Score(), pairs, 0)
    return sum(judgement.score is not None for judgement in judgements)


def _peer(model: Any, tokenizer: Any, pairs: Sequence[Example]) -> int:
    """Return how many pairs got a score on the scale."""
    rows = [prompts.render(tokenizer, prompts.rubric(pair.instruction, pair.output, True)) for pair in pairs]
    scored = 0
    for batch in batches([len(row) + NEW_TOKENS for row in rows], PEER_TOKENS):
        width = max(len(rows[at]) for at in batch)
        padded = [[tokenizer.eos_token_id] * (width - len(rows[at])) + rows[at] for at in batch]
        mask = [[0] * (width - len(rows[at])) + [1] * len(rows[at]) for at in batch]
        with torch.inference_mode():
            written = model.generate(
                torch.tensor(padded, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                do_sample=True,
                temperature=0.7,
                top_p=0.9,
                min_new_tokens=NEW_TOKENS,
                max_new_tokens=NEW_TOKENS,
                pad_token_id=tokenizer.eos_token_id,
            )
        texts = tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)
        scored += sum(parse(text, 1, 5) is not None for text in texts)
    return scored


def flops(config: Any, model: Any, rows: Sequence[list[int]]) -> float:
    """Return the operations that scoring `rows` needs; the formula is the module's."""
    shared = common_prefix(rows)
    tokens = shared + sum(len(row) - shared for row in rows)
    # Pairs of a token and one at or before it, over the shared part once and over the rest of every row.
    seen = shared * (shared + 1) / 2 + sum((len(row) * (len(row) + 1) - shared * (shared + 1)) / 2 for row in rows)
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * head_size(config) * seen
    head = 2 * config.hidden_size * config.vocab_size * len(rows)
    return float(2 * sum(weight.numel() for weight in _matrices(model)) * tokens + head + attention)


def peak(model: Any, rows: int = 2048) -> float:
    """Return operations per second of one layer's matrix products for `rows` tokens, the best of five."""
    weights = _matrices(model)
    weights = weights[: len(weights) // model.config.num_hidden_layers]
    inputs = {w.shape[1]: torch.randn(rows, w.shape[1], dtype=w.dtype, device=w.device) for w in weights}
    best = float("inf")
    with torch.inference_mode():
        for _ in range(5):
            began = time.perf_counter()
            for weight in weights:
                torch.nn.functional.linear(inputs[weight.shape[1]], weight)
            if weights[0].is_cuda:
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - began)
    return float(2 * rows * sum(weight.numel() for weight in weights) / best)


def _matrices(model: Any) -> list[Any]:
    head = model.get_output_embeddings()
    return [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]


if __name__ == "__main__":
    main()
