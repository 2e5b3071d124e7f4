"""From a checked folder to a model and its tokenizer, through transformers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from askback import models
from askback.errors import AskbackError, InputError


def load(folder: Path, dtype: Any, chat_template: str = "") -> tuple[Any, Any]:
    """Return the model, ready to be asked, and its tokenizer, with the chat template of that path if one is given.

    Weights are read as safetensors, from this disk, and no code that came with them is run.

    Raises:
        InputError: transformers cannot load them, or the template cannot be read.
    """
    from transformers import AutoTokenizer

    with _loading(folder):
        tokenizer = AutoTokenizer.from_pretrained(models.tokenizer_folder(folder), local_files_only=True)
        model = _weights(folder, dtype).eval()
    tokenizer.chat_template = models.read_chat_template(chat_template) or tokenizer.chat_template
    return model, tokenizer


def stop_tokens(tokenizer: Any, generation: Any) -> list[int]:
    """Return the tokens that end an answer, the tokenizer's own first."""
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"{tokenizer.name_or_path}: its tokenizer has no stop token; set eos_token in tokenizer_config.json"
        )
    more = generation.eos_token_id
    more = [] if more is None else [more] if isinstance(more, int) else more
    return list(dict.fromkeys([tokenizer.eos_token_id, *more]))


def _weights(folder: Path, dtype: Any) -> Any:
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
    )
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder).merge_and_unload().to(dtype)
    return model


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Load without transformers' progress bars, and say of what cannot be loaded which folder it was."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except AskbackError:
        raise
    except Exception as error:  # damaged files and unknown architectures raise all kinds
        raise InputError(f"{folder}: transformers cannot load this model: {' '.join(str(error).split())}") from error
    finally:
        if shown:
            logging.enable_progress_bar()
