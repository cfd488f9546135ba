r"""On how many dimensions data lie: four estimators, all from one nearest-neighbor search.

In a small ball the density is all but constant, and the number of points within r of a point grows
as r^d. So ratios of volumes, not of distances, have a known law: V_i / V_j = (r_i / r_j)^d of the
i-th and j-th neighbor is Beta(i, j - i), whatever the density. Each estimator reads d off such
ratios: of the first two neighbors (two_nn), of the first k to the last (maximum_likelihood), of
neighbors n and 2 n, which is a scale (gride); local_pca counts directions instead.

Three things break them. Copies of a point have no ratio; points of a lattice (integers, coarse
pixels) have ties; `neighborhoods` drops few and refuses many. And beyond ten dimensions no ball
that holds enough points is small: near the boundary there are fewer neighbors far out than r^d
says, and all four read too little (20 dimensions read 15 to 18 from 2,000 points).

Two estimates that rest on the same points are not independent: neighborhoods overlap. Errors are
those of a sum of terms that are correlated in proportion to the points they share, which is
`_sum_variance`; taken for independent, the terms have about half of the true variance.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int, Shaped
from torch import Tensor

__all__ = [
    "Dimension",
    "Neighborhoods",
    "Rows",
    "gride",
    "local_dimensions",
    "local_pca",
    "maximum_likelihood",
    "neighborhoods",
    "two_nn",
]

LEAST = 50  # points
MOST = 0.05  # share of copies, or of ties, beyond which the estimators are refused
TIE = 1e-6  # log of a ratio of distances that rounding of the data can make of 1
BLOCK_BYTES = 8 * 2**20  # of neighbors' values held at once: about what caches hold


@runtime_checkable
class Rows(Protocol):
    """Rows of one shape and type, read by position; may be larger than memory."""

    def take(self, rows: Tensor) -> Tensor:
        """The rows at positions `rows` [m], of shape [m, ...]."""
        ...


class Dimension(NamedTuple):
    """A dimension, the standard error of its logarithm, and the number of points behind it."""

    value: float
    log_error: float
    n: int

    def interval(self, deviates: float = 1.959964) -> tuple[float, float]:
        """Between so many standard errors below and above, on the logarithmic scale."""
        factor = math.exp(deviates * self.log_error)
        return self.value / factor, self.value * factor


@dataclass(frozen=True, slots=True, eq=False)
class Neighborhoods:
    """Points of a data set, each with its nearest others, none of them a copy of it.

    Args:
        rows: [m], which points.
        distance: [m k], ascending and positive.
        index: [m k], the others.
        copies: How many points were left out because another equals them.
    """

    rows: Int[Tensor, " m"]
    distance: Float64[Tensor, "m k"]
    index: Int[Tensor, "m k"]
    copies: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def k(self) -> int:
        """How many neighbors each point has."""
        return self.distance.shape[1]


def neighborhoods(
    rows: Int[Tensor, " m"], distance: Float64[Tensor, "m k"], index: Int[Tensor, "m k"]
) -> Neighborhoods:
    """What a neighbor search found, without the points that have copies, checked.

    Args:
        rows: [m], the points that were looked up, as rows of the data set.
        distance: [m k] to the nearest others, ascending; points are not their own neighbors.
        index: [m k], those others, as rows of the data set.

    Raises:
        ValueError: If there are fewer than 50 points or 2 neighbors, or if more than one point in
            20 equals its nearest other, or is exactly as far from its second as from its first.
    """
    m, k = distance.shape
    if m < LEAST or k < 2:
        raise ValueError(f"expected at least {LEAST} points with 2 neighbors, got {m} with {k}")
    kept = distance[:, 0] > 0
    copies = m - int(kept.sum())
    if copies > MOST * m:
        raise ValueError(
            f"{copies / m:.1%} of the points equal another one, more than {MOST:.0%}: "
            "repeated points have no dimension; remove copies first"
        )
    ties = (distance[kept, 1] / distance[kept, 0]).log() < TIE
    if int(ties.sum()) > MOST * len(ties):
        raise ValueError(
            f"{ties.double().mean().item():.1%} of the points are as far from their second "
            f"neighbor as from their first, more than {MOST:.0%}: rounded data lie on a lattice "
            "and have no dimension at this scale"
        )
    return Neighborhoods(rows[kept], distance[kept], index[kept], copies)


def two_nn(near: Neighborhoods) -> Dimension:
    r"""Facco et al. 2017: (m - 1) / sum of log(r_2 / r_1), the finest scale that there is.

    The ratio is Pareto: P(r_2 / r_1 > t) = t^-d. m - 1 instead of m makes it unbiased for
    independent points.
    """
    logs = (near.distance[:, 1] / near.distance[:, 0]).log()
    found = _inverse_mean(logs, near, 2)
    return found._replace(value=found.value * (len(near) - 1) / len(near))


def maximum_likelihood(near: Neighborhoods, *, k: int = 20) -> Dimension:
    r"""Levina and Bickel 2004, averaged as MacKay and Ghahramani 2005 do: inverses first.

    Each point's 1 / m_k = sum_{j<k} log(r_k / r_j) / (k - 1) has mean 1/d exactly; averaging the
    m_k themselves gives d (k - 1) / (k - 2), twice the truth at k = 3.

    Args:
        near: The points.
        k: Neighbors that are used; all where there are fewer.
    """
    k = min(k, near.k)
    return _inverse_mean(_inverse_dimensions(near, k), near, k)


def local_dimensions(near: Neighborhoods, *, k: int = 20) -> Float64[Tensor, " m"]:
    """Around each point the estimate of Levina and Bickel, unbiased: by (k - 2) / (k - 1).

    Raises:
        ValueError: If there are fewer than 3 neighbors: of two, the mean is infinite.
    """
    k = min(k, near.k)
    if k < 3:
        raise ValueError(f"expected k >= 3, got {k}")
    return (k - 2) / (k - 1) / _inverse_dimensions(near, k)


def gride(near: Neighborhoods, *, nearest: int = 1) -> Dimension:
    r"""Denti et al. 2022: maximum likelihood from neighbors `nearest` and twice that.

    .. math:: f(\mu) = \frac{d (\mu^d - 1)^{n-1}}{\mu^{(2n-1) d + 1} B(n, n)}, \qquad
        \mu = r_{2n} / r_n

    The score falls in d and is convex: Newton's steps from the left climb to its root and do not
    pass it, about ten of them from m / (n S), with S the sum of log mu, below which there is none.
    With n = 1 this is `two_nn`, biased by m / (m - 1).

    Raises:
        ValueError: If there are no 2 `nearest` neighbors.
    """
    n, m = nearest, len(near)
    if not 1 <= n <= near.k // 2:
        raise ValueError(f"expected 1 <= nearest <= {near.k // 2}, got {nearest}")
    logs = (near.distance[:, 2 * n - 1] / near.distance[:, n - 1]).log()
    total = logs.sum().item()
    if total <= 0:
        raise ValueError(f"neighbors {n} and {2 * n} are equally far from every point")

    d, step = m / (n * total), math.inf
    while step > 1e-12 * d:
        scores, slope = _gride_score(logs, n, d)
        step = scores.sum().item() / -slope
        d += step
    scores, slope = _gride_score(logs, n, d)
    error = math.sqrt(_sum_variance(scores, near, 2 * n)) / -slope
    return Dimension(d, error / d, m)


def local_pca(
    points: Shaped[Tensor, "n ..."] | Rows,
    near: Neighborhoods,
    *,
    k: int = 20,
    least: float = 0.05,
) -> Dimension:
    """Fukunaga and Olsen 1971: directions in which a point's neighbors vary, on average.

    A direction counts if its variance is more than `least` of the largest. k neighbors span k - 1
    directions at most, and what they span is uneven by chance: above k / 3 dimensions this reads
    too little. What it sees is the scale of k neighbors, curvature and noise included.

    Args:
        points: The data set to which `near` refers; rows are flattened.
        near: The points whose neighborhoods are looked at.
        k: Neighbors that are used; all where there are fewer.
        least: Share of the largest variance that a direction must have.

    Raises:
        ValueError: If the neighbors of every point are all equal.
    """
    k, device = min(k, near.k), near.distance.device

    width = max(k, _values(points, near.index[:1, :1]).shape[2])
    counts = []
    for index in near.index[:, :k].split(max(1, BLOCK_BYTES // (8 * k * width))):
        block = _values(points, index)
        block = block if block.dtype == torch.float32 else block.double()
        block -= block.mean(dim=1, keepdim=True)  # what was taken is a copy
        spectrum = torch.linalg.eigvalsh((block @ block.mT).double())  # [b, k], ascending
        counts.append((spectrum > least * spectrum[:, -1:]).sum(dim=1))
    count = torch.cat(counts).to(device).double()
    value = count.mean().item()
    if value == 0:
        raise ValueError("the neighbors of every point are copies of one another")
    error = math.sqrt(_sum_variance(count - value, near, k)) / len(near)
    return Dimension(value, error / value, len(near))


def _values(points: Tensor | Rows, index: Int[Tensor, "b k"]) -> Shaped[Tensor, "b k d"]:
    rows = index.flatten()
    found = points[rows.to(points.device)] if isinstance(points, Tensor) else points.take(rows)
    return found.reshape(*index.shape, -1)


def _gride_score(
    logs: Float64[Tensor, " m"], n: int, d: float
) -> tuple[Float64[Tensor, " m"], float]:
    """The derivative of each point's log likelihood by d, and the slope of their sum."""
    inner = torch.where(logs > 0, logs / -torch.expm1(-d * logs), 1 / d)
    slope = -len(logs) / d**2 - (n - 1) * (inner * (inner - logs)).sum().item()
    return 1 / d + (n - 1) * inner - (2 * n - 1) * logs, slope


def _inverse_dimensions(near: Neighborhoods, k: int) -> Float64[Tensor, " m"]:
    """Around each point 1 / m_k of Levina and Bickel."""
    distance = near.distance[:, :k]
    return (distance[:, -1].log()[:, None] - distance[:, :-1].log()).mean(dim=1)


def _inverse_mean(inverse: Float64[Tensor, " m"], near: Neighborhoods, k: int) -> Dimension:
    """The dimension whose inverse is the mean of these, each from the first k neighbors.

    Raises:
        ValueError: If they are all zero.
    """
    center = inverse.mean().item()
    if center <= 0:
        raise ValueError(f"the first {k} neighbors are equally far from every point")
    error = math.sqrt(_sum_variance(inverse - center, near, k)) / len(near)
    return Dimension(1 / center, error / center, len(near))


def _sum_variance(terms: Float64[Tensor, " m"], near: Neighborhoods, k: int) -> float:
    """Variance of the sum of centered terms, each from a point and its first k neighbors.

    Two terms that share s of their k + 1 points are taken to be correlated as s / (k + 1): the sum
    over pairs is then, over the points, the mean square of the sum of the terms that use the
    point, and never negative. Centering takes out of each such sum its share of the total, which
    is a share (k + 1) / n of its standard deviation, and is put back.
    """
    used = near.index[:, :k]
    size = 1 + int(max(used.max(), near.rows.max()))
    sums = torch.zeros(size, dtype=torch.float64, device=terms.device)
    sums.index_add_(0, near.rows, terms)
    for column in used.unbind(dim=1):
        sums.index_add_(0, column, terms)
    lost = min(0.5, (k + 1) / size)
    return sums.square().sum().item() / (k + 1) / (1 - lost) ** 2
