"""The number of a model's parameters, by its files or its name."""

import json
import re
from pathlib import Path
from typing import Any

from askback.errors import InputError

MOST_HEADER = 100_000_000
"""Bytes of a header that the format allows."""


def parameters(folder: Path | None, name: str = "") -> int:
    """Return a model's number of parameters: by the headers of its files or by its configuration, whichever is larger
    (packed weights are fewer, larger numbers), else by its name, as in owner/model-7b; 0 if unknown."""
    if folder is not None and (found := max(_by_headers(folder), _by_config(folder))):
        return found
    sizes = re.findall(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", name.lower())
    return int(float(sizes[-1][0]) * {"b": 1e9, "m": 1e6}[sizes[-1][1]]) if sizes else 0


def _by_headers(folder: Path) -> int:
    total = 0
    for path in folder.glob("*.safetensors"):
        header = read_header(path)
        for name, tensor in header.items():
            size = 1
            for length in tensor["shape"] if name != "__metadata__" else [0]:
                size *= length
            total += size
    return total


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: names, types and shapes of its tensors.

    Raises:
        InputError: it is none, as the pointer that a clone without Git LFS leaves.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(MOST_HEADER, path.stat().st_size):
                raise ValueError
            header: dict[str, Any] = json.loads(file.read(length))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) > path.stat().st_size:
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InputError(
            f"{path}: no whole safetensors file (perhaps the pointer of Git LFS); copy or download the model again"
        ) from None
    return header


def _by_config(folder: Path) -> int:
    """Return the parameters of a decoder with gated layers, as Llama, Mistral, Qwen and most others are."""
    shape = shape_of(folder)
    if not shape:
        return 0
    width, layers, inner, vocabulary = shape["hidden_size"], shape["layers"], shape["inner"], shape["vocabulary"]
    key_values = width * shape["key_value_heads"] // shape["heads"]
    layer = 2 * width * width + 2 * width * key_values + 3 * width * inner * shape["experts"] + 2 * width
    return int(layers * layer + (1 if shape["tied"] else 2) * vocabulary * width + width)


def shape_of(folder: Path) -> dict[str, int]:
    """Return the sizes that config.json states, {} where it does not state them."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        text = config.get("text_config") or config
        heads = text["num_attention_heads"]
        return {
            "hidden_size": int(text["hidden_size"]),
            "layers": int(text["num_hidden_layers"]),
            "inner": int(text["intermediate_size"]),
            "vocabulary": int(text["vocab_size"]),
            "heads": int(heads),
            "key_value_heads": int(text.get("num_key_value_heads") or heads),
            "head_size": int(text.get("head_dim") or text["hidden_size"] // heads),
            "experts": int(text.get("num_local_experts") or text.get("num_experts") or 1),
            "tied": int(bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)))),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
