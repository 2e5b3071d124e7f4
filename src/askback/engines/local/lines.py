"""Rows of tokens as a model reads them: one after another in one line, or, where it cannot, each in a line of its own."""

import logging
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from askback.engines.local.attention import NAME

APART = 0.1
"""Largest difference between a token's states in one line and alone, as a share of the states: roundings."""


class Laid(NamedTuple):
    """Token `ids` in lines, the line and the column of each row's first token, and the model's further arguments."""

    ids: Any
    places: list[tuple[int, int]]
    rest: dict[str, Any]


def lay(rows: Sequence[Sequence[int]], packed: bool, pad: int, before: int = 0) -> Laid:
    """Return rows as one line in which positions restart, or padded on the right, where no token of a row attends to.

    Args:
        before: number of tokens of a prefix that is read already, and shared by all rows.
    """
    import torch

    lengths = [len(row) for row in rows]
    if not packed:
        ids = torch.tensor([[*row, *[pad] * (max(lengths) - len(row))] for row in rows])
        return Laid(ids, [(line, 0) for line in range(len(rows))], {})
    begins = list(accumulate(lengths, initial=0))
    cu_seq_lens = torch.tensor(begins, dtype=torch.int32)
    return Laid(
        torch.tensor([[token for row in rows for token in row]]),
        [(0, begin) for begin in begins[:-1]],
        {
            "position_ids": torch.cat([before + torch.arange(length) for length in lengths]).unsqueeze(0),
            "cu_seq_lens_q": cu_seq_lens,
            "cu_seq_lens_k": cu_seq_lens,
            "max_length_q": max(lengths),
            "max_length_k": max(lengths),
            "attention_mask": no_mask(begins[-1], "cpu"),
        },
    )


def no_mask(tokens: int, device: Any) -> Any:
    """Return what keeps transformers from making a mask of tokens × tokens; attention.py goes by the rows' lengths."""
    import torch

    return torch.ones(1, 1, 1, tokens, dtype=torch.bool, device=device)


def to(laid: Laid, device: Any) -> Laid:
    """Return the same on a device."""
    rest = {name: one.to(device) if hasattr(one, "to") else one for name, one in laid.rest.items()}
    return Laid(laid.ids.to(device), laid.places, rest)


def can_pack(model: Any) -> bool:
    """Tell whether a model reads rows in one line as it reads each alone; where not, the log says so.

    Its architecture alone does not tell: so it is tried out, on two short rows.
    """
    packed = model.config._attn_implementation == NAME and _tried(model)
    if not packed:
        name = getattr(model.config, "model_type", "this model")
        logging.getLogger(__name__).warning("%s: its attention cannot keep rows apart; rows are padded", name)
    return packed


def _tried(model: Any) -> bool:
    import torch

    most = model.config.get_text_config().vocab_size
    rows = [[(5 + 11 * at * at) % most for at in range(begin, begin + length)] for begin, length in ((0, 5), (9, 8))]

    def states(laid: Laid) -> Any:
        moved = to(laid, model.device)
        return model.base_model(moved.ids, use_cache=False, **moved.rest).last_hidden_state[0].float()

    with torch.no_grad():
        alone = torch.cat([states(lay([row], False, 0)) for row in rows])
        try:
            together = states(lay(rows, True, 0))
        except (TypeError, ValueError, RuntimeError):  # it does not know the arguments
            return False
    return bool(((together - alone).norm(dim=1) < APART * alone.norm(dim=1)).all())
