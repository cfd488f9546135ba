r"""How likely a fresh point lies in the convex hull of others, in closed form for Gaussian data.

Points are drawn from N(0, I_d), the fresh point from N(0, s I_d). Then (Kabluchko and Zaporozhets
2020, https://arxiv.org/abs/1704.04968)

.. math::
    P(\text{outside}) = 2 (b_{d-1} + b_{d-3} + \dots), \qquad
    P(\text{inside}) = 2 (b_{d+1} + b_{d+3} + \dots),

.. math::
    b_k = \tbinom{N}{k}\, g_k(-r)\, g_{N-k}(r), \qquad r = \frac{s}{1 + k s}, \qquad
    g_n(r) = E\, \Phi(\sqrt r Z)^n.

For s = 1 the two factors are the internal and external angles of a regular simplex. All terms are
positive, so the smaller of the two sums is taken, in logarithms, and no digit is lost. What would
lose all digits is g_k(-r), the mean of a power of a complex number. It is a density instead:

.. math:: g_k(-r) = 2^{-k} \sqrt{2 \pi / r}\; f(0),

with f the density of a sum of k half-normal numbers and one of law N(0, 1/s). Its Fourier integral
is taken through the saddle point, where nothing cancels; every integral is a trapezoid sum of an
analytic function, which converges exponentially.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["inside_probability", "samples_needed", "wendel_probability"]

NEGLIGIBLE = 42.0  # logarithm of what is left out, relative to what is kept: below 1e-18
NODES = 160  # of the Fourier integral, on one half of the axis
FINEST = 8  # steps of the real integral per width of its peak
MOST_VARIANCE = 1e4  # beyond, the peak of the real integral is too wide for its finest detail
MOST_DIMENSIONS = 1000  # of `samples_needed`: the answer is near 1e219 then
SAME = 1e-12  # two probabilities this close, relative to themselves, count as equal

Array = NDArray[np.float64]


def inside_probability(count: int, dimension: int, *, variance: float = 1.0) -> float:
    """Probability that a fresh Gaussian point lies in the convex hull of `count` others.

    Exact to about 1e-12 of its value, however small; 0 where it is below 1e-308. The same for
    every injective affine image of the data (an ellipsoid, a subspace of `dimension` dimensions).

    Args:
        count: How many points span the hull, each of law N(0, I).
        dimension: Of the space.
        variance: s, where the fresh point has law N(0, s I). At 0 it is the center.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check(count, dimension)
    if not 0 <= variance <= MOST_VARIANCE:
        raise ValueError(f"expected a variance from 0 to {MOST_VARIANCE:g}, got {variance}")
    if variance == 0:
        return wendel_probability(count, dimension)
    return math.exp(_log_tails(float(count), dimension, float(variance))[0])


def wendel_probability(count: int, dimension: int) -> float:
    """Probability that the center of a symmetric law lies in the hull of `count` draws from it.

    The same for every law without atoms on hyperplanes through its center (Wendel 1962,
    https://doi.org/10.7146/math.scand.a-10655): that of at least `dimension` heads in `count` - 1
    throws of a coin.

    Raises:
        ValueError: If count or dimension is below 1.
    """
    _check(count, dimension)
    return float(special.betainc(dimension, count - dimension, 0.5)) if count > dimension else 0.0


@lru_cache(maxsize=1024)
def samples_needed(dimension: int, probability: float = 0.5) -> int:
    """The fewest Gaussian samples whose hull holds a fresh one with at least that probability.

    Exact below 1e10; beyond, its first ten digits are (for 1000 dimensions, seven). It grows like
    exp(dimension / 2).

    Args:
        dimension: Of the space, 1 to 1000.
        probability: Between 0 and 1.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check(1, dimension)
    if dimension > MOST_DIMENSIONS:
        raise ValueError(f"expected a dimension up to {MOST_DIMENSIONS}, got {dimension}")
    if not 1e-100 <= probability <= 1 - 1e-9:
        raise ValueError(f"expected 1e-100 <= probability <= 1 - 1e-9, got {probability}")

    def enough(count: int) -> bool:
        inside, outside = _log_tails(float(count), dimension, 1.0)
        if probability <= 0.5:
            return inside >= math.log(probability) - SAME
        return outside <= math.log1p(-probability) + SAME

    low, high = dimension, dimension + 1  # never enough, perhaps enough
    while not enough(high):
        low, high = high, high**2 if high < 1000 else 1000 * high
    while high - low > max(1, high * 1e-13):
        middle = max(low + 1, math.isqrt(low * high))
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(count: int, dimension: int) -> None:
    for name, value in (("samples", count), ("dimensions", dimension)):
        if not 1 <= value <= 1e300 or value != int(value):
            raise ValueError(f"expected a whole number of {name} >= 1, got {value}")


def _log_tails(count: float, dimension: int, variance: float) -> tuple[float, float]:
    """Logarithms of the probabilities of inside and outside; the smaller one is summed."""
    if count <= dimension:
        return -math.inf, 0.0
    outside = _log_sum(_log_terms(count, dimension - 1, -((dimension + 1) // 2), variance))
    if outside < -math.log(2):
        return math.log1p(-math.exp(outside)), outside
    inside, first, size = -math.inf, dimension + 1, 32
    while first <= count:  # terms fall off from here on, for their sum is below one half
        terms = _log_terms(count, first, size, variance)
        inside = np.logaddexp(inside, _log_sum(terms))
        if terms[-1] < min(terms[0], inside - NEGLIGIBLE):
            break
        first += 2 * size
    return float(inside), math.log1p(-math.exp(inside))


def _log_sum(terms: Array) -> float:
    return math.log(2) + float(special.logsumexp(terms))


def _log_terms(count: float, first: int, size: int, variance: float) -> Array:
    """Logarithms of b_k for |size| values of k from `first`, two apart, downward if size < 0."""
    k = np.arange(first, first + 2 * size, 2 * np.sign(size))
    k = k[k <= count]
    i = np.arange(k.max())
    choose = np.concatenate(([0.0], np.cumsum(np.log(count - i) - np.log1p(i))))  # log C(count, i)
    external = _log_external(k.astype(np.float64), count - k, variance)
    return choose[k] + _log_internal(first, size, variance)[: len(k)] + external


@lru_cache(maxsize=256)
def _log_internal(first: int, size: int, variance: float) -> Array:
    """Logarithms of g_k(-r) for those k: a density at 0, by a contour through the saddle point."""
    k = np.arange(first, first + 2 * size, 2 * np.sign(size)).astype(np.float64)
    at, spread = np.zeros_like(k), k  # the saddle point: where the tilted law has mean zero
    for _ in range(60):
        ratio = math.sqrt(2 / math.pi) / special.erfcx(-at / math.sqrt(2))
        spread = 1 / variance + k * (1 - ratio * (at + ratio))
        at = np.minimum(0.0, at - (at / variance + k * (at + ratio)) / spread)
    width = 1 / np.sqrt(spread)
    furthest = np.arcsinh(math.sqrt(2 * NEGLIGIBLE * variance) / width)
    nodes = furthest[:, None] * np.linspace(0, 1, NODES)
    z = at[:, None] + 1j * width[:, None] * np.sinh(nodes)

    moment = z**2 / (2 * variance) + k[:, None] * np.log(special.erfcx(-z / math.sqrt(2)))
    peak = np.real(moment[:, :1])
    values = np.real(np.exp(moment - peak)) * np.cosh(nodes)
    area = (2 * values.sum(1) - values[:, 0]) * width * furthest / (NODES - 1)
    scale = 0.5 * np.log((k + 1 / variance) / (2 * math.pi)) - k * math.log(2)
    return peak[:, 0] + np.log(area) + scale


def _log_external(k: Array, power: Array, variance: float) -> Array:
    """Logarithms of g_power(r), r = variance / (1 + k variance): a real integral about its peak."""
    r = variance / (1 + k * variance)
    low, high = np.zeros_like(r), np.sqrt(2 * np.log1p(r * power)) + 1
    peak = high
    for _ in range(60):  # to where u / r = power * phi(u) / Phi(u)
        rises = peak / r < power * _ratio(peak)
        low, high = np.where(rises, peak, low), np.where(rises, high, peak)
        peak = (low + high) / 2
    width = 1 / np.sqrt(1 / r + peak**2 / r * (1 + 1 / (r * np.maximum(power, 1))))
    fall = -power * _log_cdf(peak)
    start = peak - math.sqrt(2 * NEGLIGIBLE) * width
    stop = np.sqrt(peak**2 + 2 * r * (NEGLIGIBLE + fall))
    step = np.minimum(width, 1 / (1 + peak)) / FINEST
    nodes = np.linspace(0, 1, math.ceil(((stop - start) / step).max()))
    u = start[:, None] + (stop - start)[:, None] * nodes
    log_values = power[:, None] * _log_cdf(u) - u**2 / (2 * r)[:, None]
    top = (-fall - peak**2 / (2 * r))[:, None]
    area = np.exp(log_values - top).sum(1) * (stop - start) / (len(nodes) - 1)
    return np.log(area) + top[:, 0] - 0.5 * np.log(2 * math.pi * r)


def _log_cdf(u: Array) -> Array:
    """Logarithms of Phi(u), to the last digits where it is near zero."""
    return np.where(u < 0, special.log_ndtr(u), np.log1p(-special.ndtr(-np.abs(u))))


def _ratio(u: Array) -> Array:
    """phi(u) / Phi(u) for u >= 0."""
    return np.exp(-(u**2) / 2) / (math.sqrt(2 * math.pi) * special.ndtr(u))
