"""The law of the distance to the k-th nearest of n points spread evenly."""

from math import exp, lgamma, log, pi


def ball_volume(dimension: int) -> float:
    """Volume of the unit ball."""
    return pi ** (dimension / 2) / exp(lgamma(dimension / 2 + 1))


def mean_distance(
    n: int, dimension: int, *, k: int = 1, volume: float = 1.0, power: int = 1
) -> float:
    r"""Mean distance to the k-th nearest of n even points, where no ball meets a boundary.

    The share of space within that distance is Beta(k, n - k + 1), so exactly

    .. math:: E r_k = \frac{\Gamma(k + 1/d)}{\Gamma(k)} \frac{\Gamma(n + 1)}{\Gamma(n + 1 + 1/d)}
        (v / V_d)^{1/d}

    and the second fraction goes to n^(-1/d).

    Args:
        n: Points beside the one that looks.
        dimension: Of the space.
        k: Which neighbor.
        volume: Of the space.
        power: Of the distance, of which the mean is taken: d is to be read as d / power.
    """
    d = dimension / power
    gammas = lgamma(k + 1 / d) - lgamma(k) + lgamma(n + 1) - lgamma(n + 1 + 1 / d)
    return exp(gammas + (log(volume) - log(ball_volume(dimension))) / d)
