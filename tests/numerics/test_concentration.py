"""The nearest of n Gaussian points: the exact law against simulation and limits."""

import math

import pytest
import torch

from offmap.numerics.concentration import equivalent_dimension, gaussian_nearness


@pytest.mark.parametrize(("d", "n"), [(1, 50), (3, 1000), (30, 300), (100, 200)])
def test_the_law_is_that_of_simulated_noise(d, n, generator):
    """Fresh noise for every median, so that its error is that of independent draws."""
    queries = 400
    ratios = []
    for _ in range(20):
        x = torch.randn(queries // 20, d, dtype=torch.double, generator=generator)
        y = torch.randn(queries // 20, n, d, dtype=torch.double, generator=generator)
        nearest = (x[:, None] - y).norm(dim=2).amin(dim=1)
        ratios.append(nearest / (x.square().sum(dim=1) + d).sqrt())
    below = (torch.cat(ratios) < gaussian_nearness(d, n)).double().mean().item()
    assert abs(below - 0.5) < 4 * 0.5 / math.sqrt(queries)


def test_rises_with_the_dimension_to_one_and_falls_with_the_points():
    values = [gaussian_nearness(d, 1000) for d in (0.5, 1, 2, 10, 100, 784, 150528)]
    assert values == sorted(values)
    assert values[-1] > 0.98
    assert gaussian_nearness(784, 10) > gaussian_nearness(784, 10**6) > 0.8


def test_in_many_dimensions_is_the_normal_limit():
    """Given x, |x - y|^2 is about normal with mean 2 d and variance 6 d, beside |x|^2 fixed at d:
    its smallest of 1,000 is about 3.2 deviations below.
    """
    d, n = 10**6, 1000
    lowest = -3.1972  # median of the least of 1,000 normal deviates
    expected = math.sqrt(1 + lowest * math.sqrt(6 * d) / (2 * d))
    assert gaussian_nearness(d, n) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("d", [0.3, 2.0, 12.5, 784.0])
def test_the_equivalent_dimension_inverts_the_law(d):
    assert equivalent_dimension(gaussian_nearness(d, 500), 500) == pytest.approx(d, rel=1e-5)


def test_refuses_what_has_no_answer():
    with pytest.raises(ValueError, match="dimension > 0 and n >= 1, got 0 and 5"):
        gaussian_nearness(0, 5)
    with pytest.raises(ValueError, match="got 3 and 0"):
        gaussian_nearness(3, 0)
    with pytest.raises(ValueError, match=r"in 0.01 to 1e\+07 dimensions, got 1"):
        equivalent_dimension(1.0, 1000)
    with pytest.raises(ValueError, match="got 0"):
        equivalent_dimension(0.0, 10)
