"""Slopes, bands and images of activations, against autograd on dense grids."""

import pytest
import torch

from offmap.numerics.lipschitz.activations import ACTIVATIONS

CASES = [
    ("relu", {}), ("leaky_relu", {"negative_slope": 0.2}), ("leaky_relu", {"negative_slope": -0.3}),
    ("leaky_relu", {"negative_slope": 3.0}), ("elu", {}), ("elu", {"alpha": 2.5}), ("tanh", {}),
    ("sigmoid", {}), ("softplus", {}), ("softplus", {"beta": 3.0}), ("silu", {}), ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
]  # fmt: skip
KNOWN = {"gelu": 1.1289, "silu": 1.0998, "sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}


def build(name, settings):
    return ACTIVATIONS[name](**settings)


def slopes_on(step, grid):
    grid = grid.clone().requires_grad_()
    (slope,) = torch.autograd.grad(step.function(grid).sum(), grid)
    return slope


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_slope_is_the_derivative(name, settings):
    step = build(name, settings)
    grid = torch.linspace(-9.0003, 9, 40_001, dtype=torch.double)
    torch.testing.assert_close(step.slope(grid), slopes_on(step, grid), rtol=1e-8, atol=1e-8)
    far = torch.tensor([-1e3, 1e3], dtype=torch.double)
    assert step.slope(far).tolist() == pytest.approx(step.ends, abs=1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_lipschitz_constant_is_the_largest_slope(name, settings):
    step = build(name, settings)
    grid = torch.linspace(-9.0003, 9, 400_001, dtype=torch.double)
    seen = slopes_on(step, grid).abs().max().item()
    assert seen <= step.lipschitz
    assert step.lipschitz == pytest.approx(seen, rel=1e-3)
    if not settings and name in KNOWN:
        assert step.lipschitz == pytest.approx(KNOWN[name], abs=5e-5)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_intervals_hold_what_is_inside(name, settings, generator):
    """Slopes, images and bands on random intervals, against 400 points in each."""
    step = build(name, settings)
    middle = 3 * torch.randn(500, dtype=torch.double, generator=generator)
    half = torch.rand(500, dtype=torch.double, generator=generator) ** 3 * 4
    low, high = middle - half, middle + half
    inner = torch.linspace(0, 1, 400, dtype=torch.double)[:, None]
    points = low + inner * (high - low)  # [400, 500]
    least, most = step.slopes(low, high)
    slopes = slopes_on(step, points)
    assert (slopes >= least - 1e-12).all()
    assert (slopes <= most + 1e-12).all()
    # and no wider than needed
    torch.testing.assert_close(slopes.amin(dim=0), least, rtol=0, atol=0.04)
    bottom, top = step.image(low, high)
    values = step.function(points)
    assert (values >= bottom - 1e-12).all()
    assert (values <= top + 1e-12).all()
    slope, offset, width = step.band(low, high)
    off = values - slope * points - offset
    assert (off.abs() <= width + 1e-12).all()
    if step.kink:  # the narrowest: it is touched
        torch.testing.assert_close(off.abs().amax(dim=0), width, rtol=0, atol=0.02)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_points_have_their_slope(name, settings):
    step = build(name, settings)
    at = torch.tensor([-2.0, -0.5, 0.7, 3.0], dtype=torch.double)
    least, most = step.slopes(at, at)
    torch.testing.assert_close(least, most, rtol=0, atol=1e-11)
    slope, offset, width = step.band(at, at)
    torch.testing.assert_close(slope * at + offset, step.function(at))
    assert width.abs().max() <= 1e-11


def test_monotone_is_said_rightly():
    rising = {name: build(name, {}).monotone for name in ACTIVATIONS}
    assert rising == {
        "relu": True, "leaky_relu": True, "elu": True, "tanh": True, "sigmoid": True,
        "softplus": True, "silu": False, "gelu": False,
    }  # fmt: skip
    assert not build("leaky_relu", {"negative_slope": -0.1}).monotone


def test_an_unknown_form_of_gelu_is_refused():
    with pytest.raises(ValueError, match="none or tanh, got 'erf'"):
        build("gelu", {"approximate": "erf"})
