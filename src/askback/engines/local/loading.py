"""Loading a model and its tokenizer from a checked folder, through transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from askback import models
from askback.errors import AskbackError, InputError, MissingExtra
from askback.prompts.rendering import check_template, encode_said, spans_of


def load(folder: Path, dtype: Any, chat_template: str = "", **how: Any) -> tuple[Any, Any]:
    """Return the model, in evaluation mode, and its tokenizer, with the chat template of that path if one is given.

    Weights are read as safetensors from this disk, and no code of the folder is run. `how` holds further arguments of
    transformers' `from_pretrained`, such as `device_map`.

    Raises:
        InputError: transformers cannot load them, or the template cannot be read.
    """
    tokenizer = load_tokenizer(folder, chat_template)
    with _loading(folder):
        return _weights(folder, dtype, **how).eval(), tokenizer


def multiplies_bfloat16() -> bool:
    """Return whether the machine multiplies bfloat16 in hardware; where not, float32 is several times as fast."""
    import torch
    from transformers.utils import is_torch_bf16_gpu_available

    if torch.accelerator.is_available():
        return bool(is_torch_bf16_gpu_available())
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def load_tokenizer(folder: Path, chat_template: str = "") -> Any:
    """Return the tokenizer of a model, with the chat template of that path if one is given; needs no torch.

    Raises:
        InputError: transformers cannot load it, or the template cannot be read or used.
        MissingExtra: transformers is not installed.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingExtra("transformers", "local", f"the tokenizer of {folder}") from error
    with _loading(folder):
        tokenizer = AutoTokenizer.from_pretrained(
            models.tokenizer_folder(folder), local_files_only=True, trust_remote_code=False
        )
    if not tokenizer.is_fast:
        raise InputError(
            f"{folder}: has no tokenizer of the library tokenizers (tokenizer.json); use a model that has one"
        )
    tokenizer.chat_template = models.read_chat_template(chat_template) or tokenizer.chat_template
    check_template(tokenizer, models.template_file(folder, chat_template))
    return tokenizer


def truncate(tokenizer: Any, text: str, max_tokens: int) -> str:
    """Return the longest beginning of `text`, cut at a token's end, that encodes to at most `max_tokens`."""
    if len(encode_said(tokenizer, text)) <= max_tokens:
        return text
    spans = spans_of(tokenizer, text)
    kept = min(max_tokens, len(spans))
    while kept > 0:
        # A character of several tokens is kept whole or not at all.
        ends = [spans[kept - 1][1], *(start for start, _ in spans[kept : kept + 1])]
        head = text[: min(ends)]
        over = len(encode_said(tokenizer, head)) - max_tokens
        if over <= 0:
            return head
        kept -= 1 + over // 16  # hundreds over are markup, of which `encode_said` makes more tokens
    return ""


def stop_tokens(tokenizer: Any, generation: Any) -> list[int]:
    """Return the tokens that end an answer, the tokenizer's own first."""
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"{tokenizer.name_or_path}: its tokenizer has no stop token; set eos_token in tokenizer_config.json"
        )
    more = generation.eos_token_id
    more = [] if more is None else [more] if isinstance(more, int) else more
    return list(dict.fromkeys([tokenizer.eos_token_id, *more]))


def _weights(folder: Path, dtype: Any, **how: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    adapter = (folder / "adapter_config.json").is_file()
    model = AutoModelForCausalLM.from_pretrained(
        models.base_of(folder) if adapter else folder,
        # An adapter is added in float32 and rounded once.
        dtype=torch.float32 if adapter else dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        **how,
    )
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder).merge_and_unload().to(dtype)
    return model


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Load without transformers' progress bars; an error names the folder."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except AskbackError:
        raise
    except Exception as error:  # damaged files and unknown architectures raise all kinds
        if "trust_remote_code" in str(error):
            raise InputError(
                f"{folder}: needs code that is in the model's folder, and such code is never run; use a model of an "
                "architecture that transformers itself has"
            ) from error
        raise InputError(f"{folder}: transformers cannot load this model: {' '.join(str(error).split())}") from error
    finally:
        if shown:
            logging.enable_progress_bar()
