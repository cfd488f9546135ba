import math

import pytest
import torch
from scipy.stats import multivariate_normal

from offmap.attempt import InputError
from offmap.score import Seen
from offmap.scores.typicality import typicality


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("in_small_reads")
def test_is_the_distance_of_the_log_density_from_its_mean(labeled, fit):
    """The law is read off the state, and its density is scipy's."""
    rows = normal(300, 6, 0) * torch.tensor([5.0, 4, 3, 1, 1, 1]) + 2
    score = fit(typicality, labeled(rows, None), variance=0.8)
    axes = score.axes
    across = torch.eye(6).double() - axes @ axes.T
    covariance = axes @ score.scale.square().diag() @ axes.T + score.rest * across
    law = multivariate_normal(score.mean.numpy(), covariance.numpy())
    new = 3 * normal(40, 6, 1)
    constant = 3 * math.log(2 * math.pi) + covariance.logdet() / 2
    usual = score.usual / 2 + constant
    truth = (-torch.from_numpy(law.logpdf(new.double().numpy())) - usual).abs()
    assert torch.allclose(score(Seen(new)), truth, rtol=1e-9)
    assert 1 < axes.shape[1] < 4  # the three long directions


def test_the_usual_is_that_of_inputs_that_were_not_fitted(labeled, fit):
    """In sample, squared distances would be below the dimension: by a sixth, with so few rows."""
    rows = normal(900, 100, 2)
    score = fit(typicality, labeled(rows, None), variance=0.999999)
    fitted, d = 600, 100
    fresh = d * (1 + 1 / fitted) * fitted / (fitted - d - 2)  # of an inverse Wishart
    spread = math.sqrt(2 * d / 300) * 1.4
    assert float(score.usual) == pytest.approx(fresh, abs=4 * spread)


def test_the_origin_of_a_hundred_normals_is_too_likely(labeled, fit):
    """It is sqrt(d / 2) = 7.07 standard deviations off; the density is highest there."""
    score = fit(typicality, labeled(normal(20_000, 100, 3), None), variance=0.5)
    fresh, origin = score(Seen(normal(5000, 100, 4))), score(Seen(torch.zeros(1, 100))).item()
    deviation = float(fresh.square().mean().sqrt())
    assert deviation == pytest.approx(math.sqrt(100 / 2), rel=0.05)
    assert origin / deviation == pytest.approx(math.sqrt(100 / 2), rel=0.05)
    assert origin > float(fresh.max())
    likelihood = -normal(5000, 100, 4).square().sum(dim=1)
    assert float(likelihood.max()) < 0  # one-sided, the origin is the least strange of all


def test_orders_both_sides(labeled, fit):
    rows = normal(2000, 50, 5)
    score = fit(typicality, labeled(rows, None))
    usual = score(Seen(normal(500, 50, 6))).median()
    for factor in (0.5, 1.5):
        assert score(Seen(factor * normal(500, 50, 7))).median() > 4 * usual


def test_does_not_see_a_rotation(labeled, fit, generator):
    rows = normal(300, 8, 8) * torch.arange(1.0, 9)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q
    new = 4 * normal(30, 8, 9)
    one, other = (fit(typicality, labeled(each, None)) for each in (rows, rows @ turn))
    assert torch.allclose(one(Seen(new)), other(Seen(new @ turn)), rtol=1e-4, atol=1e-4)


def test_constant_pixels_are_no_division_by_zero(labeled, fit):
    rows = torch.cat([normal(100, 3, 10), torch.zeros(100, 2)], dim=1)
    score = fit(typicality, labeled(rows, None))
    moved = rows + torch.tensor([0, 0, 0, 0, 1.0])
    assert float(score(Seen(moved)).min()) > 100 * float(score(Seen(rows)).median())


def test_too_few_and_settings_out_of_range_are_refused(labeled, fit):
    with pytest.raises(InputError, match=r"at least 30 training examples .* got 29"):
        fit(typicality, labeled(normal(29, 3, 11), None))
    with pytest.raises(ValueError, match=r"expected variance in \(0, 1\), got 0"):
        fit(typicality, labeled(normal(40, 3, 11), None), variance=0.0)
    with pytest.raises(InputError, match="expected training examples that differ"):
        fit(typicality, labeled(torch.ones(40, 3), None))
