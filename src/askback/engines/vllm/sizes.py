"""How a vLLM of the run is laid out over this machine's cards, by the size of its model, where `arguments` say nothing.

vLLM's defaults are for a server that people ask at will: one card, and on most cards 256 sequences and 2,048 tokens a pass.
A run asks thousands of short prompts at once. And vLLM sets no memory aside for the probabilities of a prompt's tokens, of
which it holds those of a whole pass, in float32: measuring a loss or IFD then ends it, out of memory (its issue 5907).
None of this alters what is sampled or scored, but for the rounding of other batches.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from askback import models
from askback.engines.http.concurrency import USUAL
from askback.models.size import parameters, shape_of
from askback.recipe import EngineOptions

SHARE = 0.92
"""Share of a card's memory that vLLM takes by default."""
LOGIT_BYTES, LOGIT_SHARE = 10, 0.15
"""Bytes of a token and a word of the vocabulary: its logit in bfloat16, then in float32, and the logarithm of its
probability; and the share of a card's memory that these may take."""
PASS = (16_384, 8_192, 4_096, 2_048)
"""Tokens that are read in one pass: as many of these as have room for their logits."""
MOST, FEWEST, HELD = 1_024, 16, 256
"""Bounds of the number of sequences at once, each of which has room for 256 tokens at the least."""
WEIGHTS = 0.8
"""Share of the memory taken that weights may fill, before a model is spread over more cards."""


PARALLEL = {kind: (f"--{kind}-parallel-size", f"-{kind[0]}p") for kind in ("tensor", "pipeline", "data")}
"""vLLM's options for several cards: parts of each layer, of the layers, and copies of the model."""


class Sizes(NamedTuple):
    """Arguments of vLLM beside the recipe's, and the number of requests in flight that keep it busy."""

    arguments: tuple[str, ...] = ()
    concurrency: int = USUAL


def sizes(folder: Path, options: EngineOptions, cards: Sequence[int]) -> Sizes:
    """Return what a vLLM of the checkpoint or adapter in `folder` is to be given on `cards`, by their bytes of memory.

    What `options.arguments` give stays, and the rest follows from it. Without cards all is left to vLLM.
    """
    model = models.base_of(folder) if (folder / "adapter_config.json").is_file() else folder
    shape, memory = shape_of(model), min(cards, default=0)
    if not memory or not shape:
        return Sizes()
    given, each = options.arguments, 4 if options.dtype == "float32" else 2
    logits = LOGIT_BYTES * shape["vocabulary"]
    fitting = (size for size in PASS if size * logits <= LOGIT_SHARE * memory)
    tokens = _number(given, "--max-num-batched-tokens") or next(fitting, PASS[-1])
    share = SHARE - min(LOGIT_SHARE, tokens * logits / memory)
    weights = each * parameters(model)
    spread = _power_of_two(weights / WEIGHTS / share / memory, len(cards))
    over, copies = parallel(given) or (spread, len(cards) // spread)
    held = HELD * each * 2 * shape["layers"] * shape["key_value_heads"] * shape["head_size"]
    fitting_rows = int((over * share * memory - weights) / held)
    sequences = _number(given, "--max-num-seqs") or min(MOST, max(FEWEST, fitting_rows))
    chosen = {
        "--max-num-seqs": str(sequences),
        "--max-num-batched-tokens": str(tokens),
        "--gpu-memory-utilization": f"{share:.2f}",
    }
    if parallel(given) is None and len(cards) > 1:
        chosen |= {PARALLEL["tensor"][0]: str(over), PARALLEL["data"][0]: str(copies)}
    named = {part.partition("=")[0] for part in given}
    arguments = [part for name, value in chosen.items() if name not in named for part in (name, value)]
    return Sizes(tuple(arguments), min(MOST, sequences * copies))


def parallel(arguments: Sequence[str]) -> tuple[int, int] | None:
    """Return the number of cards that vLLM spreads a model over by its arguments, and the number of copies of it; None if
    they name none."""
    found = {kind: _number(arguments, *names) for kind, names in PARALLEL.items()}
    if not any(found.values()):
        return None
    return max(1, found["tensor"]) * max(1, found["pipeline"]), max(1, found["data"])


def cards_here() -> list[int]:
    """Return the bytes of memory of each NVIDIA card that a process started here may use; a part of a card is none."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[field.strip() for field in line.split(",")] for line in listed.splitlines()]
    found = {(index, uuid): int(mebibytes) << 20 for index, uuid, mebibytes in rows if mebibytes.isdecimal()}
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is None:
        return list(found.values())
    wanted = [name.strip() for name in seen.split(",") if name.strip()]
    return [memory for (index, uuid), memory in found.items() if index in wanted or uuid in wanted]


def _number(arguments: Sequence[str], *names: str) -> int:
    """Return the number that the last of these options is given, as in ``--name 3`` or ``--name=3``; 0 if none is."""
    number = 0
    for part, following in pairwise([*arguments, ""]):
        option, _, value = part.partition("=")
        if option in names and (value or following).isdecimal():
            number = int(value or following)
    return number


def _power_of_two(need: float, most: int) -> int:
    """Return the smallest power of two that is not below `need`, or else the largest that is not above `most`."""
    number = 1
    while number < need and 2 * number <= most:
        number *= 2
    return number
