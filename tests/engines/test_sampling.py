"""The sampler draws from exactly the probabilities it should, each row from its own seed."""

import pytest

torch = pytest.importorskip("torch")

from askback.engines.local.sampling import SeededSampler, gumbel, nucleus  # noqa: E402

LOGITS = [2.0, 1.0, 0.5, 0.0, -1.0, -3.0, 1.0, -0.5]


def expected(temperature: float, top_p: float) -> list[float]:
    """Return the exact probabilities, by plain arithmetic."""
    weights = torch.tensor(LOGITS, dtype=torch.float64).div(temperature).softmax(0).tolist()
    kept: list[int] = []
    for token in sorted(range(len(weights)), key=lambda token: -weights[token]):
        if sum(weights[other] for other in kept) < top_p:
            kept.append(token)
    total = sum(weights[token] for token in kept)
    return [weights[token] / total if token in kept else 0.0 for token in range(len(weights))]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (2.0, 0.5), (0.3, 0.99)])
def test_draws_follow_the_probabilities(temperature: float, top_p: float) -> None:
    draws = 20_000
    sampler = SeededSampler(range(draws), temperature, top_p)
    logits = torch.tensor(LOGITS).expand(draws, -1)
    # Two steps: the second must be as good as the first.
    sampler(None, logits)
    counts = torch.bincount(sampler(None, logits).argmax(-1), minlength=len(LOGITS)).tolist()
    probabilities = expected(temperature, top_p)
    assert all(count == 0 for count, p in zip(counts, probabilities, strict=True) if p == 0)
    degrees = sum(p > 0 for p in probabilities) - 1
    chi_square = sum((n - draws * p) ** 2 / (draws * p) for n, p in zip(counts, probabilities, strict=True) if p)
    # Far beyond the 99.9th percentile of a right sampler (24.3 at 7 degrees), far below that of a wrong one.
    assert chi_square < 3.5 * (degrees + 1)


def test_noise_is_uniform_and_independent_of_its_neighbours() -> None:
    """Neighbouring seeds, steps and tokens must not resemble each other: they are what differs between rows."""
    tokens = torch.arange(200).expand(200, -1)
    uniform = torch.stack([(-(-gumbel(torch.arange(200), step, tokens)).exp()).exp() for step in range(8)])
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.002)
    assert uniform.var().item() == pytest.approx(1 / 12, abs=0.001)
    centred = uniform - 0.5
    for one, other in (
        (centred[:-1], centred[1:]),
        (centred[:, :-1], centred[:, 1:]),
        (centred[:, :, :-1], centred[:, :, 1:]),
        (centred[1:, :-1], centred[:-1, 1:]),
    ):
        assert abs((one * other).mean().item()) * 12 < 0.01


def test_a_row_depends_on_its_own_seed_alone() -> None:
    logits = torch.randn(6, 300, generator=torch.Generator().manual_seed(0))
    together = SeededSampler(range(6), 0.8, 0.9)
    alone = [SeededSampler([seed], 0.8, 0.9) for seed in range(6)]
    for _ in range(3):
        drawn = together(None, logits).argmax(-1).tolist()
        assert drawn == [one(None, logits[at : at + 1]).argmax(-1).item() for at, one in enumerate(alone)]


@pytest.mark.parametrize("top_p", [1e-6, 0.5, 0.9, 0.999])
def test_nucleus_is_the_librarys_also_where_it_is_wide(top_p: float) -> None:
    """Flat rows need more than the first candidates, peaked ones do not; both must come out as transformers cuts them."""
    from transformers import TopPLogitsWarper

    flat = torch.randn(3, 6000, generator=torch.Generator().manual_seed(1))
    logits = torch.cat([flat, flat * 8])
    kept, tokens = nucleus(logits, top_p)
    mine = torch.full_like(logits, -torch.inf).scatter(1, tokens, kept)
    theirs = TopPLogitsWarper(top_p)(None, logits)
    # Summed in another order, a token whose mass ends at top_p may fall on either side.
    assert (mine.isfinite() != theirs.isfinite()).sum().item() <= 2
    assert mine.isfinite().any(-1).all()
