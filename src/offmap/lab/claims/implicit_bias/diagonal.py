r"""Least squares with coefficients :math:`\beta = u^2 - v^2`: the flow, and what it minimizes.

From u = v = scale, gradient flow ends where :math:`\sum_i q(\beta_i / scale^2)` is smallest among
the exact fits, with :math:`q(z) = 2 - \sqrt{4 + z^2} + z \sinh^{-1}(z / 2)`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

Vector = Float[np.ndarray, " d"]
Design = Float[np.ndarray, "n d"]


def flow(
    x: Design, y: Float[np.ndarray, " n"], scale: float, times: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t d"]:
    """Coefficients on the way of gradient flow on half the squared error, from u = v = scale.

    Integrated in the logarithms of u and v, which move slowly however small these are.
    """
    d = x.shape[1]

    def rates(_: float, logs: np.ndarray) -> np.ndarray:
        gradient = x.T @ (x @ (np.exp(2 * logs[:d]) - np.exp(2 * logs[d:])) - y)
        return np.concatenate([-2 * gradient, 2 * gradient])

    solved = solve_ivp(
        rates, (0.0, times[-1]), np.full(2 * d, np.log(scale)), "LSODA", times, rtol=1e-10,
        atol=1e-10,
    )  # fmt: skip
    return np.exp(2 * solved.y.T[:, :d]) - np.exp(2 * solved.y.T[:, d:])


def smallest(
    x: Design, y: Float[np.ndarray, " n"], log_scales: Sequence[float]
) -> Float[np.ndarray, "t d"]:
    r"""The exact fits of smallest potential, by Newton's method on its dual.

    Stationarity is :math:`\beta = 2 scale^2 \sinh(X^T \nu)`, so that what is left is to find n
    numbers with :math:`X \beta = y`. Solved from a large scale, where this is linear, downward.

    Args:
        x: Inputs.
        y: Targets.
        log_scales: Logarithms of the scales, in descending order. A scale may be as small as
            1e-1000 where the exact fit of smallest l1 norm has n nonzero numbers.
    """
    at = max(log_scales[0], 2.0)
    nu = np.linalg.solve(x @ x.T, y) / (2 * np.exp(2 * at))
    fits = []
    for log_scale in log_scales:
        while True:
            nu, beta = _newton(x, y, nu, at)
            if at == log_scale:
                break
            below = max(log_scale, min(at - 0.1, 1.1 * at))
            nu = nu * (below / at if at < -1 else 1.0)  # far down, nu grows like the logarithm
            at = below
        fits.append(beta)
    return np.stack(fits)


def _newton(
    x: np.ndarray, y: np.ndarray, nu: np.ndarray, log_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Damped Newton steps on the convex dual, to rounding: nu and the fit."""
    while True:
        z = x.T @ nu
        up, down = np.exp(2 * log_scale + z), np.exp(2 * log_scale - z)  # sinh without overflow
        step = np.linalg.solve((x * (up + down)) @ x.T, y - x @ (up - down))
        move = np.abs(x.T @ step).max()
        if move < 1e-12 * (1 + np.abs(z).max()):
            return nu, up - down
        nu = nu + step / max(1.0, move)  # sinh is tame within a unit


def smallest_l1(x: Design, y: Float[np.ndarray, " n"]) -> tuple[Vector, Vector]:
    """The exact fit of smallest l1 norm, by linear programming, and X'nu of its dual.

    Where X'nu is less than one in magnitude, the fit is zero; the rest to one is the slack.
    """
    d = x.shape[1]
    both = linprog(np.ones(2 * d), A_eq=np.hstack([x, -x]), b_eq=y, bounds=(0, None))
    return both.x[:d] - both.x[d:], x.T @ both.eqlin.marginals
