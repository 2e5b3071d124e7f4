"""Hidden states of a model that is loaded, pooled over an answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from askback.engines.local.lines import lay, to

if TYPE_CHECKING:
    from askback.engines.protocol import States


def layers_at(model: Any, depths: Sequence[float]) -> list[int]:
    """Return the layer at each depth, from 0, the embedding, to 1, the last layer."""
    count = model.config.get_text_config().num_hidden_layers
    return [round(depth * count) for depth in depths]


def pooled(
    model: Any, rows: Sequence[tuple[list[int], int]], layers: Sequence[int], packed: bool, pad: int
) -> "list[States]":
    """Return the pooled states of one batch of rows: (tokens, place of the answer's first token)."""
    import torch

    laid = to(lay([ids for ids, _ in rows], packed, pad), model.device)
    with torch.inference_mode():
        found = model.base_model(laid.ids, output_hidden_states=True, use_cache=False, **laid.rest).hidden_states
        states = torch.stack([found[layer] for layer in layers], 1)
    parts = [
        states[line, :, column + first : column + len(ids)].float()
        for (ids, first), (line, column) in zip(rows, laid.places, strict=True)
    ]
    return [torch.stack([part.mean(1), part[:, -1]], 1).cpu().numpy() for part in parts]
