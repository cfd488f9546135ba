"""The linear program against cvxpy, closed forms, and networks with real weights."""

import cvxpy
import numpy as np
import pytest

from offmap.lab.claims.implicit_bias.relu_line import (
    alternating,
    extremes,
    grid,
    hinges,
    law,
    least_cost,
    points,
    slopes,
    spline_cost,
)

X = np.array([-1.2, -0.6, -0.1, 0.4, 0.9, 1.3])
Y = np.array([0.3, -0.5, 0.4, 0.1, 0.9, 0.2])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_points_of_which_the_cost_is_known(rng):
    """Slopes -4/3, 9/5, -3/5, 8/5, -7/4: the variation is 133/12."""
    np.testing.assert_allclose(slopes(X, Y), [-4 / 3, 9 / 5, -3 / 5, 8 / 5, -7 / 4])
    assert alternating(X, Y) and not alternating(X, X**2)
    for cost in (law(X, Y), spline_cost(X, Y), least_cost(X, Y, grid(X, 5, rng))):
        assert abs(cost - 133 / 12) < 1e-9


def test_two_points_cost_one_neuron_and_not_the_line_that_two_make(rng):
    x, y = np.array([0.0, 2.0]), np.array([1.0, 7.0])
    assert abs(least_cost(x, y, grid(x, 5, rng)) - 3) < 1e-9
    assert law(x, y) == 3 and spline_cost(x, y) == 6


def test_the_program_is_that_of_cvxpy(rng):
    x, y = points(6, rng)
    knots = grid(x, 4, rng)
    heights = cvxpy.Variable(2 * len(knots) + 1)
    rows = hinges(x, knots) @ heights == y
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm1(heights[:-1])), [rows])
    np.testing.assert_allclose(least_cost(x, y, knots), program.solve("CLARABEL"), rtol=1e-6)


def test_hinges_are_neurons():
    at, knots = np.array([-1.0, 0.5, 3.0]), np.array([0.0, 1.0])
    expected = [[0, 0, 1, 2, 1], [0.5, 0, 0, 0.5, 1], [3, 2, 0, 0, 1]]
    np.testing.assert_array_equal(hinges(at, knots), expected)


def test_the_cost_of_real_weights_is_never_less(rng):
    """Of any network through the points, half the squared weights; equal when balanced."""
    w, b, a = rng.standard_normal((3, 8))
    y = (np.outer(X, w) + b).clip(0) @ a
    knots = np.sort(np.concatenate([X, -b / w]))
    assert least_cost(X, y, knots) <= np.abs(a * w).sum() * (1 + 1e-9)
    assert np.abs(a * w).sum() <= (a @ a + w @ w) / 2


def test_extremes_at_the_points_are_their_values(rng):
    low, high = extremes(X, Y, grid(X, 3, rng), X)
    np.testing.assert_allclose([low, high], [Y, Y], atol=1e-9)


def test_a_convex_corner_can_be_cut(rng):
    """Turns to the left at 1 and 2: between them from the chord down to where the lines meet."""
    x, y = np.array([-4.0, -3.0, 1.0, 2.0, 6.0, 7.0]), np.array([0.0, 5.0, 1.0, 1.0, 5.0, 0.0])
    low, high = extremes(x, y, np.append(grid(x, 3, rng), 1.5), np.array([1.5]))
    np.testing.assert_allclose([low[0], high[0]], [0.5, 1.0], atol=1e-6)


def test_missing_knots_are_said():
    with pytest.raises(ValueError, match="through the points"):
        least_cost(X, Y, X[:1])
