r"""How near the nearest of n points is among Gaussian noise, and which noise has such a nearest.

In many dimensions all distances are alike (Beyer et al. 1999). For x and y from N(0, I_d) the law
is known exactly: given x, |x - y|^2 is noncentral chi-square with d degrees of freedom and
noncentrality |x|^2, of mean d + |x|^2; the nearest of n is the minimum of n draws of it.
"""

import math

import numpy as np
from scipy import special
from scipy.optimize import root_scalar

__all__ = ["equivalent_dimension", "gaussian_nearness"]

NODES = 32  # equally likely values of |x|^2 that stand for its law
LEAST, MOST = 0.01, 1e7  # dimensions between which the equivalent one is sought


def gaussian_nearness(dimension: float, n: int) -> float:
    r"""Median over x of the distance to the nearest of n points, over the typical distance.

    The typical distance of x is the root of the mean square distance to all points. The median m
    solves, with F_t the noncentral chi-square law and s = |x|^2 chi-square,

    .. math:: E_s\, (1 - F_{d,s}(m^2 (d + s)))^n = 1/2

    Args:
        dimension: d, any positive number.
        n: Points.

    Raises:
        ValueError: If the dimension is not positive, or there are no points.
    """
    if not (0 < dimension < math.inf and n >= 1):
        raise ValueError(f"expected dimension > 0 and n >= 1, got {dimension} and {n}")
    middles = (np.arange(NODES) + 0.5) / NODES
    squares = 2 * special.gammaincinv(dimension / 2, middles)

    law = root_scalar(
        _excess, (dimension, squares, n), bracket=(0.0, 4.0), method="brentq", xtol=1e-12
    )
    return float(law.root)


def equivalent_dimension(nearness: float, n: int) -> float:
    """The dimension in which Gaussian noise of n points has this nearness, which rises with it.

    Raises:
        ValueError: If there is none between 0.01 and ten million.
    """
    low = high = math.log(LEAST)
    while _gap(high, nearness, n) < 0 and high < math.log(MOST):  # the law is slow far out
        low, high = high, high + math.log(10)
    if not _gap(low, nearness, n) <= 0 <= _gap(high, nearness, n):
        raise ValueError(
            f"expected the nearness of noise in {LEAST} to {MOST:.0e} dimensions, got {nearness}"
        )
    found = root_scalar(_gap, (nearness, n), bracket=(low, high), method="brentq", xtol=1e-6)
    return math.exp(float(found.root))


def _excess(ratio: float, dimension: float, squares: np.ndarray, n: int) -> float:
    """Chance that none of n points is nearer than the ratio, over one half."""
    below = special.chndtr(ratio**2 * (dimension + squares), dimension, squares)
    with np.errstate(divide="ignore"):
        return float(np.exp(n * np.log1p(-below)).mean()) - 0.5


def _gap(log_dimension: float, nearness: float, n: int) -> float:
    return gaussian_nearness(math.exp(log_dimension), n) - nearness
