import math

import numpy as np
import pytest
import torch
from scipy import stats

from offmap.lab.claims.capacity.least_squares import deviation, excess_risk, least_norm, normal


@pytest.mark.parametrize(("n", "p"), [(12, 5), (5, 12)])
def test_least_norm_is_that_of_lapack(n, p, generator):
    inputs, targets = normal(3, n, p, generator=generator), normal(3, n, generator=generator)
    for x, y, fit in zip(inputs, targets, least_norm(inputs, targets), strict=True):
        expected = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0]
        np.testing.assert_allclose(fit.numpy(), expected, rtol=1e-9, atol=1e-9)


def test_the_law_below_n_is_the_trace_of_a_mean_inverse_wishart_matrix():
    mean = stats.invwishart(df=20, scale=np.eye(6)).mean()
    assert excess_risk(20, 6, 1.0, 0.3) == pytest.approx(0.3 * np.trace(mean))


def test_the_law_above_n_is_bias_plus_such_a_trace():
    mean = stats.invwishart(df=20, scale=np.eye(6)).mean()
    assert excess_risk(6, 20, 2.0, 0.3) == pytest.approx(2.0 * 14 / 20 + 0.3 * np.trace(mean))


@pytest.mark.parametrize("ratio", [0.4, 2.5])
def test_the_law_tends_to_that_of_hastie_et_al(ratio):
    """Surprises in high-dimensional ridgeless least squares: n, p to infinity with p / n fixed."""
    limit = 0.3 * ratio / (1 - ratio) if ratio < 1 else 2 * (1 - 1 / ratio) + 0.3 / (ratio - 1)
    assert excess_risk(10**6, int(ratio * 10**6), 2.0, 0.3) == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize("p", [19, 20, 21])
def test_the_law_is_infinite_at_the_peak(p):
    assert excess_risk(20, p, 1.0, 1.0) == math.inf


def test_deviation_is_the_t_statistic(generator):
    draws = normal(2, 50, generator=generator)
    expected = stats.ttest_1samp(draws.numpy(), [[0.1], [-0.2]], axis=1).statistic
    found = deviation(draws, torch.tensor([0.1, -0.2], dtype=torch.double))
    np.testing.assert_allclose(found.numpy(), expected)
