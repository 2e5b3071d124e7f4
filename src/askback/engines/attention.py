"""Attention of one new token a row, on a CPU.

torch's fused attention is made for many queries. With one a row it took three times as long as two matrix products.
"""

from functools import lru_cache
from typing import Any

NAME = "askback"


def use(model: Any) -> None:
    """Have `model` attend this way where it can: on a CPU, if its own way is torch's fused attention."""
    if model.device.type == "cpu" and model.config._attn_implementation == "sdpa" and model._supports_attention_backend:
        _register()
        model.set_attn_implementation(NAME)


@lru_cache(maxsize=1)
def _register() -> None:
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **others: Any) -> tuple[Any, None]:
        rows, heads, queries, _ = query.shape
        bent = any(others.get(name) is not None for name in ("softcap", "position_bias", "s_aux"))
        if queries > 1 or bent or attention_mask is None or attention_mask.shape[1] > 1:
            return sdpa_attention_forward(module, query, key, value, attention_mask, **others)  # type: ignore[no-any-return]
        # The heads that share keys and values are the rows of one matrix.
        scores = query.view(rows, key.shape[1], -1, query.shape[3]) @ key.transpose(2, 3)
        scale = others.get("scaling") or query.shape[3] ** -0.5
        shares = (scores * scale).masked_fill(~attention_mask, -torch.inf).softmax(-1, dtype=torch.float32)
        return (shares.to(value.dtype) @ value).view(rows, 1, heads, -1), None

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
