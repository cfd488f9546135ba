from math import pi

import numpy as np
import torch

from offmap.lab.claims.symbolic.hinges import (
    LENGTH,
    Wave,
    bound,
    interpolant,
    largest_error,
    sine,
    wave,
)
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["uat_constructive"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.estimate.low > 0.9  # the bound is nearly met


def test_the_network_is_the_interpolant_of_numpy(generator):
    target = wave(5, generator=generator)
    x = torch.linspace(0, LENGTH, 777, dtype=torch.double)
    corners = np.linspace(0, 2 * pi, 14)
    values = target.at(torch.tensor(corners)).numpy()
    with torch.no_grad():
        found = interpolant(target, 13)(x[:, None])[:, 0]
    np.testing.assert_allclose(found.numpy(), np.interp(x.numpy(), corners, values), atol=1e-12)


def test_the_error_of_the_sine_is_in_closed_form():
    """On a piece of length h about the crest the line misses it by 1 - cos(h / 2)."""
    for pieces in (6, 10, 14):  # the crest is the middle of a piece
        found = largest_error(interpolant(sine(), pieces), sine(), pieces)
        assert abs(found - (1 - np.cos(pi / pieces))) < 1e-9
        assert abs(bound(sine(), pieces) / ((2 * pi / pieces) ** 2 / 8) - 1) < 1e-3


def test_derivatives_and_curvature(generator):
    target = wave(3, generator=generator)
    x = torch.linspace(0, LENGTH, 101, dtype=torch.double, requires_grad=True)
    (slope,) = torch.autograd.grad(target.at(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(target.at(x.detach(), 2), second)
    assert second.abs().max() <= target.curvature <= 1.05 * second.abs().max() + 1e-2


def test_a_kink_breaks_the_bound():
    """The control: a wave far faster than the curvature that is stated exceeds its bound."""
    fast = Wave(torch.tensor([0.0] * 9 + [1.0]).double(), torch.zeros(10).double())
    error = largest_error(interpolant(fast, 32), fast, 32)
    assert bound(sine(), 32) < error < bound(fast, 32)
