"""The bfloat16 form of a trained checkpoint: rounded once, stochastically, on the CPU.

A bfloat16 number is the upper half of a float32. Rounding to nearest puts a weight that training moved by less than half
a step back where it was, every time, and so undoes a part of the training. Here a weight is rounded away from zero with
the probability of its remainder, so that its expected value is the float32 one and the sum of many updates is kept.

Each weight's draw comes from a counter-based generator (Philox), keyed by the random seed, the step and the tensor's
name, at the weight's place in the tensor. The same checkpoint gives the same bytes, however it is cut into files or
chunks and whatever trained it.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 22
"""Number of weights rounded at a time, a multiple of `BLOCK`: about 100 MB of memory for a model of any size."""
BLOCK = 16
"""Number of 16-bit random numbers per count of the generator."""
LARGEST, INFINITE = 0x7F7F, 0x7F80
"""The largest finite bfloat16 number and infinity, as bits."""
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
"""The types that are rounded, by their names in safetensors files; integers and bfloat16 are copied."""

METADATA = "__metadata__"

Bits: TypeAlias = NDArray[np.uint16]


def write_bfloat16(checkpoint: Path, target: Path, random_seed: int, step: str) -> None:
    """Write the bfloat16 form of a checkpoint into the new folder `target`: weights rounded, other files copied."""
    target.mkdir()
    for path in sorted(checkpoint.iterdir()):
        if path.suffix == ".safetensors":
            _round_file(path, target / path.name, random_seed, step)
        elif path.name == "config.json":
            _write_json(target / path.name, _in_bfloat16(json.loads(path.read_text("utf-8"))))
        elif path.is_file() and not path.name.endswith(".safetensors.index.json"):
            shutil.copyfile(path, target / path.name)
    for path in checkpoint.glob("*.safetensors.index.json"):
        index = json.loads(path.read_text("utf-8"))
        files = sorted(set(index["weight_map"].values()))
        index.setdefault("metadata", {})["total_size"] = sum(_data_bytes(target / name) for name in files)
        _write_json(target / path.name, index)


def round_stochastically(values: NDArray[Any], draws: Bits) -> Bits:
    """Return `values` as bfloat16 bits, each rounded away from zero with the probability of its remainder.

    Exact bfloat16 values stay, and so do signed zeros, infinities and NaN. A finite number stays finite: above the largest
    bfloat16 number it becomes that.

    Args:
        draws: random numbers, uniform over 16 bits, one for each value.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    magnitude = bits & np.uint32(0x7FFFFFFF)
    # A draw carries into the upper half when its sum with the remainder is 2¹⁶ or more.
    upper = (magnitude + draws) >> np.uint32(16)
    finite = magnitude < np.uint32(INFINITE << 16)
    np.minimum(upper, LARGEST, out=upper, where=finite)
    if not finite.all():
        quiet = (magnitude >> np.uint32(16)) | np.uint32(0x0040)
        upper = np.where(finite, upper, np.where(magnitude > np.uint32(INFINITE << 16), quiet, INFINITE))
    return (upper | (bits >> np.uint32(16)) & np.uint32(0x8000)).astype(np.uint16)


def draws_at(random_seed: int, step: str, tensor: str, start: int, count: int) -> Bits:
    """Return the draws for `count` places of a tensor from place `start` on, which is a multiple of `BLOCK`."""
    assert start % BLOCK == 0
    key = hashlib.sha256(json.dumps([random_seed, step, tensor]).encode()).digest()[:16]
    generator = np.random.Philox(key=int.from_bytes(key, "little"), counter=start // BLOCK)
    words: NDArray[np.uint64] = generator.random_raw(-(-count // 4))
    return words.astype("<u8", copy=False).view("<u2")[:count]


def _round_file(source: Path, target: Path, random_seed: int, step: str) -> None:
    """Write a safetensors file with its floating-point tensors rounded."""
    with source.open("rb") as read, target.open("xb") as written:
        before, begin = _header(read)
        after = _rounded_header(before, f"stochastic, random seed {random_seed}, step {step}")
        text = json.dumps(after, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        written.write(len(text).to_bytes(8, "little") + text)
        for name in after:
            if name == METADATA:
                continue
            first, last = before[name]["data_offsets"]
            read.seek(begin + first)
            if kind := FLOATS.get(before[name]["dtype"]):
                for start, values in _chunks(read, kind, last - first):
                    bits = round_stochastically(values, draws_at(random_seed, step, name, start, len(values)))
                    written.write(bits.astype("<u2", copy=False).tobytes())
            else:
                for _, values in _chunks(read, "u1", last - first):
                    written.write(values.tobytes())


def _rounded_header(before: dict[str, Any], rounding: str) -> dict[str, Any]:
    """Return the header of the rounded file; tensors of larger items come first, so that each is aligned in memory."""
    after: dict[str, Any] = {METADATA: {"format": "pt", **before.get(METADATA, {}), "rounding": rounding}}
    sizes: dict[str, tuple[int, int]] = {}  # of an item, and of all
    for name, tensor in before.items():
        if name != METADATA:
            count, size = math.prod(tensor["shape"]), tensor["data_offsets"][1] - tensor["data_offsets"][0]
            sizes[name] = (2, 2 * count) if tensor["dtype"] in FLOATS else (size // max(1, count), size)
    end = 0
    for name in sorted(sizes, key=lambda name: -sizes[name][0]):
        kind, shape = before[name]["dtype"], before[name]["shape"]
        first, end = end, end + sizes[name][1]
        after[name] = {"dtype": "BF16" if kind in FLOATS else kind, "shape": shape, "data_offsets": [first, end]}
    return after


def _chunks(file: BinaryIO, kind: str, size: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the numbers in the next `size` bytes, some at a time, each time with the place of the first."""
    width = np.dtype(kind).itemsize
    for start in range(0, size // width, CHUNK):
        yield start, np.frombuffer(file.read(min(CHUNK * width, size - start * width)), kind)


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file and where its data begin."""
    length = int.from_bytes(file.read(8), "little")
    header: dict[str, Any] = json.loads(file.read(length))
    return header, 8 + length


def _data_bytes(path: Path) -> int:
    with path.open("rb") as file:
        return path.stat().st_size - _header(file)[1]


def _in_bfloat16(config: Any) -> Any:
    """Return a model's configuration with its dtype, and that of the configurations inside it, set."""
    if not isinstance(config, dict):
        return config
    changed = {name: _in_bfloat16(value) for name, value in config.items()}
    return changed | {name: "bfloat16" for name in ("dtype", "torch_dtype") if name in config}


def _write_json(path: Path, tree: dict[str, Any]) -> None:
    path.write_text(json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
