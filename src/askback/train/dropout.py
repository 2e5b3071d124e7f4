"""Dropout in a full training, through the fields of a model's configuration."""

from pathlib import Path
from typing import Any

from askback import models
from askback.errors import RecipeError

FIELDS = (
    *("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob"),
    *("resid_pdrop", "residual_dropout", "hidden_dropout", "hidden_dropout_prob", "dropout"),
    *("embd_pdrop", "embedding_dropout", "activation_dropout", "ffn_dropout"),
)
"""Names that transformers' configurations give to dropout of attention weights, hidden states and embeddings."""


def dropout_of(folder: Path) -> dict[str, float]:
    """Return the dropout fields that the configuration of a model has, and their values."""
    from transformers import AutoConfig

    base = models.base_of(folder) if (folder / "adapter_config.json").is_file() else folder
    config: Any = AutoConfig.from_pretrained(base, trust_remote_code=False, local_files_only=True)
    return {name: value for name in FIELDS if isinstance(value := getattr(config, name, None), int | float)}


def with_dropout(folder: Path, share: float) -> dict[str, float]:
    """Return the dropout fields of a model, each set to `share`, as arguments of ``from_pretrained``.

    Raises:
        RecipeError: the architecture has none.
    """
    fields = dropout_of(folder)
    if share and not fields:
        raise RecipeError(
            f"dropout: {share}: the architecture of {folder} has no dropout; leave it at 0, or train an adapter with "
            "lora.dropout"
        )
    return dict.fromkeys(fields, share)
