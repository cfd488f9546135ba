"""Intervals of quantiles."""

import pytest
import torch
from scipy.stats import binom

from offmap.attempt import CannotMeasure
from offmap.estimate import quantile


@pytest.mark.parametrize(("n", "level"), [(6, 0.5), (41, 0.5), (100, 0.25), (200, 0.95)])
def test_ends_are_the_tightest_order_statistics_that_hold(generator, n, level):
    found = quantile(torch.arange(1, n + 1)[torch.randperm(n, generator=generator)], level)
    low, high = int(found.low), int(found.high)
    assert binom.cdf(low - 1, n, level) <= 0.025 < binom.cdf(low, n, level)
    assert binom.sf(high - 1, n, level) <= 0.025 < binom.sf(high - 2, n, level)
    assert found.value == pytest.approx(level * n, abs=1)


def test_interval_covers_the_truth(generator):
    covered = 0
    for _ in range(200):
        found = quantile(torch.rand(150, generator=generator).exp(), 0.9)
        covered += found.low <= torch.tensor(0.9).exp() <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_refuses_what_it_cannot_bound():
    with pytest.raises(CannotMeasure, match=r"71 examples are too few .* 0.95 quantile"):
        quantile(torch.rand(71, generator=torch.Generator().manual_seed(0)), 0.95)
    assert quantile(torch.rand(72, generator=torch.Generator().manual_seed(0)), 0.95).n == 72
    with pytest.raises(CannotMeasure, match="0 examples"):
        quantile(torch.empty(0))
    with pytest.raises(ValueError, match="0 < level < 1, got 1"):
        quantile(torch.rand(9), 1)
