r"""Wide one-hidden-layer ReLU networks on the line, as a linear program over their knots.

A network :math:`f(x) = c + \sum_k a_k (w_k x + b_k)_+` whose weights a and w (not the biases) are
decayed costs :math:`\sum_k (a_k^2 + w_k^2) / 2`, at least :math:`\sum_k |a_k w_k|`, and no more
once each neuron is balanced. So a neuron is a knot, a side and a height; the cost is the sum of
magnitudes of the heights.
"""

import numpy as np
from jaxtyping import Float
from scipy.optimize import OptimizeResult, linprog

Points = Float[np.ndarray, " n"]


def hinges(at: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Value of every neuron of height one, the offset last: [at, 2 knots + 1]."""
    right = at[:, None] - knots
    return np.hstack([right.clip(0), (-right).clip(0), np.ones((len(at), 1))])


def least_cost(x: Points, y: Points, knots: Float[np.ndarray, " k"]) -> float:
    """The smallest cost of a network through the points, with knots from these."""
    rows, heights = hinges(x, knots), 2 * len(knots)
    cost = np.ones(2 * heights + 1)
    cost[-1] = 0
    return float(_solve(cost, rows, y).fun)


def extremes(
    x: Points, y: Points, knots: Float[np.ndarray, " k"], at: Float[np.ndarray, " places"]
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """The smallest and the largest values at these places, of all networks of least cost."""
    budget = least_cost(x, y, knots) * (1 + 1e-9)
    rows = hinges(x, knots)
    limit = np.ones((1, 4 * len(knots) + 1))
    limit[0, -1] = 0
    values = _both_signs(hinges(at, knots))
    low = [_solve(each, rows, y, limit, budget).fun for each in values]
    high = [-_solve(-each, rows, y, limit, budget).fun for each in values]
    return np.array(low), np.array(high)


def _solve(
    cost: np.ndarray, rows: np.ndarray, y: np.ndarray, limit: np.ndarray | None = None,
    budget: float | None = None,
) -> OptimizeResult:  # fmt: skip
    """The linear program over positive and negative heights, and a free offset.

    Raises:
        ValueError: If the solver finds none, for instance because knots are missing.
    """
    bounds = [(0, None)] * (len(cost) - 1) + [(None, None)]
    solved = linprog(cost, limit, budget, _both_signs(rows), y, bounds)
    if not solved.success:
        raise ValueError(f"expected a network through the points, got: {solved.message}")
    return solved


def _both_signs(rows: np.ndarray) -> np.ndarray:
    return np.hstack([rows[:, :-1], -rows[:, :-1], rows[:, -1:]])


def slopes(x: Points, y: Points) -> Float[np.ndarray, " pieces"]:
    """Of the straight lines between neighboring points."""
    return np.diff(y) / np.diff(x)


def spline_cost(x: Points, y: Points) -> float:
    """Cost of the lines between the points, the outer ones going on to infinity."""
    s = slopes(x, y)
    return float(max(np.abs(np.diff(s)).sum(), abs(s[0] + s[-1])))


def law(x: Points, y: Points) -> float:
    """The smallest cost of any network through the points.

    Bending the outer lines flat costs as much variation of the slope as it saves of the sum of
    the outer slopes, until both are equal.
    """
    s = slopes(x, y)
    variation = np.abs(np.diff(s)).sum()
    return float(max(variation, (variation + abs(s[0] + s[-1])) / 2))


def grid(x: Points, extra: int, rng: np.random.Generator) -> Float[np.ndarray, " k"]:
    """Knots at the points, and so many at random places in every gap and on either side."""
    width = x[-1] - x[0]
    ends = np.concatenate([[x[0] - width], x, [x[-1] + width]])
    between = rng.uniform(ends[:-1], ends[1:], (extra, len(ends) - 1))
    return np.sort(np.concatenate([x, between.ravel()]))


def points(n: int, rng: np.random.Generator) -> tuple[Points, Points]:
    """Points whose places are not too close to each other, with normal values."""
    return np.arange(n) + rng.uniform(-0.3, 0.3, n), rng.standard_normal(n)


def alternating(x: Points, y: Points) -> bool:
    """Whether the lines between the points turn left and right in turn."""
    turns = np.diff(slopes(x, y))
    return bool((turns[1:] * turns[:-1] < 0).all())
