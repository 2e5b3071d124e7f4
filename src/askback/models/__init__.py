"""Models by name: a builtin, a local folder or a hub repository → a folder that is fit to be loaded (`resolve`).

A model is an ordinary checkpoint folder: config.json, weights as safetensors, a tokenizer and a chat template, or a
LoRA adapter that names such a folder. Pickled weights, and code that comes with a model, are never loaded.
"""

import importlib.util
import re
from pathlib import Path

from askback.errors import InputError, MissingExtra
from askback.models.builtin import BUILTIN, fetch
from askback.models.chat_template import BUILTIN as TEMPLATES
from askback.models.chat_template import MOST_SOURCE, template_path
from askback.models.foreign_code import check_adapter, check_config, read_json
from askback.models.size import read_header

_DOWNLOADED = [
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "adapter_config.json",
]


def is_remote(name: str) -> bool:
    """Return whether a name is one that has to be fetched: a builtin or a hub repository."""
    return name.startswith("builtin:") or bool(re.fullmatch(r"[\w.-]+/[\w.-]+", name) and name[0] not in "./~")


def resolve(name: str, chat_template: str = "") -> Path:
    """Return the folder of a model, checked (`check_model`), fetching it first if need be.

    Args:
        name: ``builtin:NAME``, a local folder, or a hub repository such as ``HuggingFaceTB/SmolLM2-360M-Instruct``.
        chat_template: path of the recipe's chat template, if it gives one.

    Raises:
        RecipeError: there is no such builtin.
        InputError: the model cannot be found, downloaded or used.
        MissingExtra: what fetching it needs is not installed.
    """
    if name.startswith("builtin:"):
        return fetch(name)
    local = Path(name).expanduser()
    if name and local.is_dir():
        folder = local
    elif is_remote(name):
        folder = _download(name)
    else:
        raise InputError(
            f"{name}: no such folder; give a folder that holds a model, a hub name such as owner/model, "
            f"or {' or '.join(f'builtin:{known}' for known in BUILTIN)}"
        )
    check_model(folder, chat_template)
    return folder


def check_model(folder: Path, chat_template: str = "") -> None:
    """Check, without loading anything, that `folder` holds a model an engine and a trainer can load.

    An adapter folder (LoRA) is checked together with the base model it names.

    Raises:
        InputError: what is missing, and what to do about it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one that holds a model")
    if (folder / "adapter_config.json").is_file():
        if not (folder / "adapter_model.safetensors").is_file():
            raise InputError(f"{folder}: has adapter_config.json but no adapter_model.safetensors; train it again")
        check_adapter(folder)
        _check_weights(base_of(folder))
    else:
        _check_weights(folder)
    _check_tokenizer(tokenizer_folder(folder), chat_template)


def bfloat16_form(folder: Path) -> Path:
    """Return where the bfloat16 form of a checkpoint that was trained here is, beside it (train/rounding.py)."""
    return folder.parent / f"{folder.name}-bfloat16"


def base_of(adapter: Path) -> Path:
    """Return the folder of the base model that an adapter folder names.

    Raises:
        InputError: it names none, or one that is not there.
    """
    name = read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not name:
        raise InputError(
            f"{adapter}: adapter_config.json names no base_model_name_or_path; add it, or merge the adapter"
        )
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else resolve(name)


def tokenizer_folder(folder: Path) -> Path:
    """Return where the tokenizer of a model is: in its own folder, or, for an adapter saved without, in its base's."""
    if (folder / "adapter_config.json").is_file() and not _has_tokenizer(folder):
        return base_of(folder)
    return folder


def read_chat_template(path: str) -> str | None:
    """Return the chat template a recipe names by path; None for "", so that the tokenizer's own is used.

    Raises:
        InputError: it is no file, is empty or too large, or is not UTF-8.
    """
    if not path:
        return None
    file = template_path(path)
    try:
        if file.exists() and not file.is_file():
            raise InputError(f"{path}: the chat template is not a file; give the path of a Jinja file")
        if file.stat().st_size > MOST_SOURCE:
            raise InputError(f"{path}: the chat template has {file.stat().st_size:,} bytes, at most {MOST_SOURCE:,}")
        text = file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read the chat template: {error}") from error
    if not text.strip():
        raise InputError(f"{path}: the chat template is empty; leave chat_template out to use the tokenizer's own")
    return text


def template_file(folder: Path, chat_template: str = "") -> str:
    """Return where a model's chat template is from: the recipe's file, or one in the folder of its tokenizer."""
    if chat_template:
        return chat_template
    folder = tokenizer_folder(folder)
    names = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
    return str(next((folder / name for name in names if (folder / name).is_file()), folder))


def _check_weights(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: has no config.json; expected a model folder as written by save_pretrained")
    check_config(folder)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = sorted(set(read_json(index).get("weight_map", {}).values()))
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            raise InputError(f"{folder}: lacks {missing[0]}, which its index names; copy or download the model again")
    elif not any(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"only pickled weights ({pickled[0]}), which can run code when loaded" if pickled else "no weights"
        raise InputError(
            f"{folder}: {found}; expected *.safetensors: load it where you trust it and save_pretrained again"
        )
    for file in folder.glob("*.safetensors"):
        read_header(file)


def _has_tokenizer(folder: Path) -> bool:
    return any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json")
    )


def _check_tokenizer(folder: Path, chat_template: str) -> None:
    if not _has_tokenizer(folder):
        raise InputError(f"{folder}: has no tokenizer (tokenizer.json); save it there with tokenizer.save_pretrained")
    if read_chat_template(chat_template):
        return
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return
    config = folder / "tokenizer_config.json"
    if not (config.is_file() and read_json(config).get("chat_template")):
        raise InputError(
            f"{folder}: its tokenizer has no chat template (chat_template.jinja); "
            f"give the path of one in the recipe with chat_template:, or {' or '.join(TEMPLATES)}"
        )


def _download(name: str) -> Path:
    """Download a hub repository's weights and tokenizer, never its code; offline, what was downloaded before."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub", "local", f"downloading {name}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_DOWNLOADED))
    except Exception as error:  # the hub raises errors of its HTTP library, of the file system and of its own
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{name}: not a folder here, and it cannot be downloaded from the hub: {reason} "
            "Check the name and the network (and HF_TOKEN for a gated model), or give a local folder."
        ) from error
