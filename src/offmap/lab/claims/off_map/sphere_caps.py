"""Caps of the unit sphere: their measure, and how far from them a random point is on average."""

from math import asin, exp, pi, sin, sqrt

from scipy.integrate import quad
from scipy.special import betainc, betaincinv, betaln, ndtri


def cap_measure(cosine: float, n: int) -> float:
    """Share of the sphere in n dimensions whose first coordinate is `cosine` or more, from 0 up."""
    return 0.5 * float(betainc((n - 1) / 2, 0.5, 1 - cosine**2))


def cap_cosine(measure: float, n: int) -> float:
    """The least first coordinate of a cap of that measure, up to one half."""
    return sqrt(1 - float(betaincinv((n - 1) / 2, 0.5, 2 * measure)))


def mean_distance_to_cap(measure: float, n: int) -> float:
    """Mean straight distance from a uniform point to a cap of that measure, by quadrature.

    Of all sets of that measure the cap is the farthest: its neighborhoods are the smallest, by
    the isoperimetric inequality of the sphere.
    """
    edge = pi / 2 - asin(cap_cosine(measure, n))  # the cap's radius as an angle
    scale = exp(-betaln((n - 1) / 2, 0.5))

    def share(angle: float) -> float:
        return 2 * sin((angle - edge) / 2) * scale * sin(angle) ** (n - 2)

    return float(quad(share, edge, pi, points=[max(edge, pi / 2)], limit=200)[0])


def gilmer_bound(measure: float, n: int) -> float:
    """The same to leading order in many dimensions: -Phi^-1(measure) / sqrt(n)."""
    return -float(ndtri(measure)) / sqrt(n)
