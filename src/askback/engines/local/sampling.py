"""Sampling of one token per row that depends on the row's own probabilities and seed alone.

The library's samplers draw a whole batch from one random stream, so a row's answer changes with its neighbours. Here the
noise of a row is a function of (its seed, the step, the token); the token with the largest sum of log-probability and
Gumbel noise is an exact sample from the softmax (the Gumbel-max trick).
"""

from collections.abc import Sequence
from typing import Any

_FIRST_CANDIDATES = 256
"""Number of most likely tokens that are searched first for the nucleus, which nearly always lies within them; sorting a
whole vocabulary for every token of every row costs more than a small model's forward pass."""


class SeededSampler:
    """A logits processor for transformers' ``generate`` in greedy mode that leaves one possible token in each row.

    Args:
        seeds: one per row, any integers.
        temperature: above 0; divides the logits.
        top_p: probability of the nucleus.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        self._seeds = seeds
        self._temperature = temperature
        self._top_p = top_p
        self._step = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return -inf for every token but the sampled one of each row."""
        import torch

        logits = scores.float() / self._temperature
        drawn = draw(logits, self._top_p, self._seeds, [self._step] * len(self._seeds))
        self._step += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn[:, None], 0.0)


def draw(logits: Any, top_p: float, seeds: Sequence[int], steps: Sequence[int]) -> Any:
    """Return one token per row of `logits` (temperature applied), sampled by that row's seed and step."""
    import torch

    kept, tokens = nucleus(logits, top_p)
    noise = gumbel(
        torch.tensor([_signed(seed) for seed in seeds], device=logits.device),
        torch.tensor(steps, device=logits.device),
        tokens,
    )
    return tokens.gather(1, (kept + noise).argmax(-1, keepdim=True))[:, 0]


def nucleus(logits: Any, top_p: float) -> tuple[Any, Any]:
    """Return the logits (rows × n, -inf beyond the nucleus) and their tokens.

    The nucleus is the smallest set of most likely tokens whose total probability is at least `top_p`; it is never empty.
    """
    import torch

    size = logits.shape[-1]
    if top_p >= 1:
        return logits, torch.arange(size, device=logits.device).expand_as(logits)
    total = logits.logsumexp(-1, keepdim=True)
    for candidates in (_FIRST_CANDIDATES, 16 * _FIRST_CANDIDATES, size):
        values, tokens = logits.topk(min(candidates, size), dim=-1)
        mass = (values - total).exp().cumsum(-1)
        if candidates >= size or bool((mass[:, -1] >= top_p).all()):
            break
    before = mass - (values - total).exp()
    # Exactly 0, whatever the rounding, so that no row is emptied.
    before[:, 0] = 0.0
    return values.masked_fill(before >= top_p, -float("inf")), tokens


def gumbel(seeds: Any, steps: Any, tokens: Any) -> Any:
    """Return Gumbel noise for `tokens` (rows × n) as a function of (seed, step, token) and of nothing else.

    The random bits are SplitMix64's (Steele, Lea and Flood, 2014), a generator without state. Departure from
    torch.Generator: one generator per row would have to draw for the whole vocabulary at every step, which took a
    third of a millisecond per row and token, and its numbers differ between a CPU and a GPU.
    """
    rows = _mix(_mix(seeds) + steps)[:, None]
    bits = _mix(rows + tokens)
    uniform = (_shift(bits, 11).double() + 0.5) * 2.0**-53
    return -(-uniform.log()).log()


def _mix(values: Any) -> Any:
    # Products of 64-bit integers wrap around, as intended.
    values = values * _signed(0x9E3779B97F4A7C15) + _signed(0x9E3779B97F4A7C15)
    values = (values ^ _shift(values, 30)) * _signed(0xBF58476D1CE4E5B9)
    values = (values ^ _shift(values, 27)) * _signed(0x94D049BB133111EB)
    return values ^ _shift(values, 31)


def _shift(values: Any, bits: int) -> Any:
    """Shift right, filling with zeros; torch's own shift copies the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """Return the low 64 bits of `number` as torch holds them."""
    return (number + 2**63) % 2**64 - 2**63
