import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.optimize import nnls

from offmap.lab.claims.interpolation.hull_curve_tolerance import (
    SQUARE,
    hull_curve_tolerance,
    shares,
    spline,
)
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_verdict():
    assert find(["hull_curve_tolerance"], scale="smoke")[0].verdict == "supported"


def test_points_lie_on_the_spline_through_the_knots(generator):
    knots = gaussian(9, 7, generator=generator)
    points = spline(knots, 200, generator).numpy()
    dense = CubicSpline(np.linspace(0, 1, 9), knots.numpy())(np.linspace(0, 1, 20001))
    nearest = np.sqrt(((points[:, None] - dense[None, ::10]) ** 2).sum(2)).min(1)
    assert nearest.max() < 0.2
    assert np.abs(dense[::2500] - knots.numpy()).max() < 1e-12


def test_shares_as_of_a_linear_program_and_of_least_squares(program):
    """As the wrong version does it: non-negative least squares, and a threshold."""
    draws = torch.Generator().manual_seed(8)
    inside, near = shares(3, 5, 200, 2, 12, generator=draws)
    draws.manual_seed(8)
    sides, small = [], []
    for _ in range(2):
        points = spline(gaussian(5, 3, generator=draws), 212, draws).numpy()
        for query in points[200:]:
            sides.append(program(points[:200], query))
            heavy = 1e4  # on the sum of the weights
            a = np.vstack((points[:200].T, np.full(200, heavy)))
            small.append(nnls(a, np.append(query, heavy), maxiter=5000)[1] ** 2 < SQUARE)
    assert inside == pytest.approx(np.mean(sides))
    assert near == pytest.approx(np.mean(small))
    assert near > inside


def test_a_winding_curve_in_the_plane_needs_no_tolerance(generator):
    """The premise broken: most points of the curve are not vertices of its hull."""
    inside, near = shares(2, 40, 800, 2, 12, generator=generator)
    assert near - inside < 0.9
    assert inside > 0.5
    trial = hull_curve_tolerance(counts=(800,), curves=1, queries=12, generator=generator)
    assert trial.parts["control: inside, 40 knots in 3 dimensions"] > 0.5
