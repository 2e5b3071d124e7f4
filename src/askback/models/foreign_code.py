"""Code of a model folder is never run: files that make a library run, fetch or unpickle code are refused.

Every loading call has `trust_remote_code=False`, so that transformers neither runs the code of an `auto_map` nor asks on
standard input. The checks here are for cases that this switch does not cover.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askback.errors import InputError

KERNELS = ("attn_implementation", "experts_implementation")
"""Endings of configuration keys that may name a kernel, OWNER/NAME, which transformers would fetch and run."""
SENTENCES = "sentence_transformers."


def check_config(folder: Path) -> None:
    """Check that a checkpoint's config.json names no code and no pickled weights.

    Raises:
        InputError: it names one.
    """
    path = folder / "config.json"
    for key, value in _values(read_json(path)):
        if key.endswith(KERNELS) and "/" in value:
            raise InputError(f"{path}: {key} names {value}, code to be fetched and run, which never is; take it out")
        if key == "transformers_weights" and not value.endswith((".safetensors", ".safetensors.index.json")):
            raise InputError(f"{path}: {key} names {value}; expected safetensors, as pickles can run code when loaded")


def check_adapter(folder: Path) -> None:
    """Check that an adapter is LoRA and names no module to import; other kinds load more than their folder.

    Raises:
        InputError: it is another kind, or names one.
    """
    path = folder / "adapter_config.json"
    config = read_json(path)
    if str(config.get("peft_type", "LORA")).upper() != "LORA":
        raise InputError(f"{path}: peft_type is {config['peft_type']}, expected LORA; merge the adapter into its base")
    if config.get("megatron_config"):
        raise InputError(f"{path}: megatron_config names a module to be imported, which never is; take it out")


def check_embedder(folder: Path) -> None:
    """Check that a folder of sentence-transformers is made of that library's own modules, with safetensors weights.

    Raises:
        InputError: it has a module of its own, or pickled weights alone.
    """
    path = folder / "modules.json"
    modules = read_json(path, list)
    for module in modules:
        kind = module.get("type") if isinstance(module, dict) else None
        if not isinstance(kind, str) or not kind.startswith(SENTENCES):
            raise InputError(
                f"{path}: type {kind}: a module of the folder's own, which is never run; use another model"
            )
    for pickled in sorted(folder.rglob("pytorch_model*.bin")):
        if not any(pickled.parent.glob("*.safetensors")):
            raise InputError(f"{pickled}: pickled weights, which can run code when loaded; expected *.safetensors")


def read_json(path: Path, kind: type = dict) -> Any:
    """Return the JSON value of a file of a model folder: an object, or a list if `kind` is.

    Raises:
        InputError: it cannot be read, or holds another kind of value.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}; copy or download the model again") from error
    if not isinstance(content, kind):
        wanted = "object" if kind is dict else "list"
        raise InputError(f"{path}: expected a JSON {wanted}, found {type(content).__name__}; download the model again")
    return content


def _values(tree: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a tree with its key; a string in a kernel's mapping, or in a list, has the key of that."""
    if isinstance(tree, str):
        yield key, tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from _values(value, key if key.endswith(KERNELS) else name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _values(value, key)
