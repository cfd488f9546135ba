"""Densities against scipy's, enumeration and entropies in closed form."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from offmap.numerics.density import bits_of_coins, fit_gaussian


def cloud(n, generator, scale=(3.0, 1.0, 0.5, 0.5, 0.5)):
    mixed = torch.randn(n, len(scale), dtype=torch.double, generator=generator)
    turn = torch.linalg.qr(
        torch.randn(len(scale), len(scale), dtype=torch.double, generator=generator)
    ).Q
    return mixed * torch.tensor(scale, dtype=torch.double) @ turn.T + 2


def test_with_every_axis_free_it_is_the_gaussian_of_largest_likelihood(generator):
    rows, fresh = cloud(300, generator), cloud(20, generator)
    density = fit_gaussian(rows, share=1.0, most=5, generator=generator)
    peer = multivariate_normal(rows.mean(dim=0).numpy(), np.cov(rows.numpy().T, bias=True))
    np.testing.assert_allclose(
        density.negative_log_density(fresh).numpy(), -peer.logpdf(fresh.numpy()), rtol=1e-8
    )


@pytest.mark.parametrize(("share", "kept"), [(0.7, 1), (0.9, 2)])
def test_the_rest_shares_one_variance(share, kept, generator):
    """Variances 9, 1, and three of 1/4: the first carries 84 % of 10.75, two of them 93 %."""
    rows = cloud(2000, generator)
    density = fit_gaussian(rows, share=share, most=5, generator=generator)
    assert density.principal.axes.shape == (5, kept)
    values, axes = np.linalg.eigh(np.cov(rows.numpy().T, bias=True))
    values[: 5 - kept] = values[: 5 - kept].mean()
    covariance = (axes * values) @ axes.T
    peer = multivariate_normal(rows.mean(dim=0).numpy(), covariance)
    np.testing.assert_allclose(
        density.negative_log_density(rows[:50]).numpy(), -peer.logpdf(rows[:50].numpy()), rtol=1e-8
    )


def test_the_density_integrates_to_one(generator):
    density = fit_gaussian(cloud(50, generator, (2.0, 0.3)), share=0.5, most=2, generator=generator)
    axis = torch.linspace(-18, 22, 1201, dtype=torch.double)
    total = (-density.negative_log_density(torch.cartesian_prod(axis, axis))).exp().sum()
    assert total.item() * (40 / 1200) ** 2 == pytest.approx(1, abs=1e-6)


def test_a_direction_that_never_varies_is_unlikely_to(generator):
    rows = torch.cat([cloud(100, generator), torch.full((100, 1), 4.0)], dim=1)
    density = fit_gaussian(rows, share=1.0, most=6, generator=generator)
    moved = rows[:5].clone()
    moved[:, 5] += 1
    assert bool(density.negative_log_density(rows[:5]).isfinite().all())
    assert (
        density.negative_log_density(moved) - density.negative_log_density(rows[:5])
    ).min() > 1e4


def test_refuses_what_has_no_density(generator):
    with pytest.raises(ValueError, match="rows that differ"):
        fit_gaussian(torch.ones(5, 2), share=0.9, most=2, generator=generator)
    with pytest.raises(ValueError, match=r"0 <= share <= 1 <= most, got 1.5 and 2"):
        fit_gaussian(torch.eye(2), share=1.5, most=2, generator=generator)


def test_coins_share_out_one_over_all_rows(generator):
    seen = torch.rand(30, 8, generator=generator) < torch.linspace(0, 1, 8)
    every = torch.tensor(list(itertools.product([False, True], repeat=8)))
    assert (2 ** -bits_of_coins(seen, every)).sum().item() == pytest.approx(1)


def test_coins_take_the_entropy_of_the_law(generator):
    """n independent bits with chances p take -sum p log2 p + (1 - p) log2(1 - p) bits."""
    chance = torch.tensor([0.5, 0.1, 0.02, 0.9], dtype=torch.double)
    seen, fresh = (torch.rand(20000, 4, generator=generator) < chance for _ in range(2))
    entropy = -(chance * chance.log2() + (1 - chance) * (1 - chance).log2()).sum().item()
    bits = bits_of_coins(seen, fresh)
    assert abs(bits.mean().item() - entropy) < 4 * bits.std().item() / math.sqrt(20000)
    never = bits_of_coins(torch.zeros(7, 1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool))
    assert never.item() == pytest.approx(-math.log2(0.5 / 8))
