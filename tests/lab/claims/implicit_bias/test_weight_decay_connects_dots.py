import numpy as np

from offmap.lab.claims.implicit_bias.relu_line import grid, least_cost, spline_cost
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["weight_decay_connects_dots"], scale="smoke")[0].verdict == "refuted"


def test_it_is_true_for_a_zigzag():
    x, y = np.arange(7.0), np.array([0.0, 1, 0, 1, 0, 1, 0])
    cost = least_cost(x, y, grid(x, 4, np.random.default_rng(0)))
    np.testing.assert_allclose(cost, spline_cost(x, y), rtol=1e-9)
