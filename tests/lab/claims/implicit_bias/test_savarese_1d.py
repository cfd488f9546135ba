import numpy as np

from offmap.lab.claims.implicit_bias.relu_line import grid, law, least_cost, points, spline_cost
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["savarese_1d"], scale="smoke")[0].verdict == "supported"


def test_without_its_second_term_the_formula_fails_on_monotone_points():
    """The control: neither the variation alone nor the cost of the lines is the smallest cost."""
    rng = np.random.default_rng(0)
    x, y = points(4, rng)
    y = np.sort(y)
    cost = least_cost(x, y, grid(x, 4, rng))
    variation = np.abs(np.diff(np.diff(y) / np.diff(x))).sum()
    assert abs(cost / law(x, y) - 1) < 1e-9
    assert spline_cost(x, y) > 1.01 * cost > 1.02 * variation
