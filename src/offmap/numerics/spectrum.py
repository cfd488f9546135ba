"""How many directions a cloud of points fills: from its Gram matrix, never from its covariance.

With covariance S of eigenvalues l, the participation ratio is (tr S)^2 / tr S^2 = (sum l)^2 /
sum l^2 and the stable rank is tr S / max l. Both lie between 1 and the number of dimensions, and
both are badly biased when computed from the sample covariance of m points in d > m dimensions:
the participation ratio of m isotropic points is then near m d / (m + d), not d.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float64, Shaped
from scipy.sparse.linalg import eigsh
from torch import Tensor

__all__ = [
    "Moments",
    "Width",
    "centered_gram",
    "moments",
    "participation_ratio",
    "stable_rank",
    "top_variance",
]

BLOCK_BYTES = 32 * 2**20  # of float64 columns held at once
ROUNDING = 1e-12  # of the total variance; below it is rounding


class Width(NamedTuple):
    """A number of directions and the standard error of its logarithm."""

    value: float
    log_error: float


class Moments(NamedTuple):
    """Unbiased estimates for a covariance S: (tr S)^2 and tr S^2, each [...]."""

    trace_squared: Float64[Tensor, "*batch"]
    squared_trace: Float64[Tensor, "*batch"]


def centered_gram(rows: Shaped[Tensor, "m d"]) -> Float64[Tensor, "m m"]:
    """Inner products of the rows about their mean, in float64, a block of columns at a time."""
    m, d = rows.shape
    gram = torch.zeros(m, m, dtype=torch.double, device=rows.device)
    for block in rows.split(max(1, min(d, BLOCK_BYTES // (8 * m))), dim=1):
        block = block.double()
        block = block - block.mean(dim=0)
        gram.addmm_(block, block.mT)
    return gram


def moments(
    n: float,
    trace: Float64[Tensor, "*batch"],
    square: Float64[Tensor, "*batch"],
    fourth: Float64[Tensor, "*batch"],
) -> Moments:
    """Unbiased (tr S)^2 and tr S^2 of any law with four moments (Himeno and Yamada 2014).

    With the centered scatter matrix M of `n` points: `trace` = tr M, `square` = tr M^2, and
    `fourth` = the sum over points of the fourth power of the distance to the mean. They are the
    averages of |x1 - x2|^2 |x3 - x4|^2 / 4 and ((x1 - x2) . (x3 - x4))^2 / 4 over all four
    different points.

    Raises:
        ValueError: If n < 4.
    """
    if n < 4:
        raise ValueError(f"expected at least 4 points, got {n}")
    one, two, four = trace / (n - 1), square / (n - 1) ** 2, fourth / (n - 1)
    scale = (n - 1) / (n * (n - 2) * (n - 3))
    return Moments(
        scale * (2 * two + (n * n - 3 * n + 1) * one.square() - n * four),
        scale * ((n - 1) * (n - 2) * two + one.square() - n * four),
    )


def participation_ratio(gram: Float64[Tensor, "m m"]) -> Width:
    """(tr S)^2 / tr S^2 of the law that the points come from, from their centered Gram matrix.

    A ratio of unbiased estimates, whose logarithm the delete-one jackknife corrects to order
    1/m^2 and gives its standard error, in closed form.

    Args:
        gram: Inner products of the points about their mean, as `centered_gram` gives them.

    Returns:
        NaN where the points are all equal, or too few to tell tr S^2 from 0.

    Raises:
        ValueError: If there are fewer than 5 points.
    """
    m = len(gram)
    if m < 5:
        raise ValueError(f"expected at least 5 points, got {m}")
    own = gram.diagonal()  # [m], squared distance to the mean
    trace, fourth = own.sum(), own.square().sum()
    reach = gram.square().sum(dim=1)  # [m], x_i' M x_i
    whole = moments(m, trace, reach.sum(), fourth)
    # Without point i the scatter matrix is M - m/(m-1) x_i x_i', and the mean moves by -x_i/(m-1).
    grow, step = m / (m - 1), 1 / (m - 1)
    left_fourth = (
        fourth
        + 4 * step**2 * reach
        + m * step**4 * own.square()
        + 4 * step * (gram @ own)
        + 2 * step**2 * own * trace
        - (own * grow**2).square()  # j = i; rows of a centered Gram matrix sum to 0
    )
    left = moments(
        m - 1,
        trace - grow * own,
        reach.sum() - 2 * grow * reach + (grow * own).square(),
        left_fourth,
    )
    if not all(bool((part > 0).all()) for part in (*whole, *left)):
        return Width(math.nan, math.nan)
    log = whole.trace_squared.log() - whole.squared_trace.log()
    logs = left.trace_squared.log() - left.squared_trace.log()
    value = (m * log - (m - 1) * logs.mean()).exp()
    return Width(value.item(), ((m - 1) * logs.var(correction=0)).sqrt().item())


def top_variance(gram: Float64[Tensor, "m m"]) -> tuple[float, Float64[Tensor, " m"]]:
    """The largest eigenvalue of a Gram matrix and its unit eigenvector, by Lanczos.

    The start is the row of the point farthest from the mean, so the answer is always the same.

    Raises:
        ValueError: If there are fewer than 3 points.
    """
    if len(gram) < 3:
        raise ValueError(f"expected at least 3 points, got {len(gram)}")
    start = gram[int(gram.diagonal().argmax())]
    if not bool(start.any()):
        return 0.0, torch.ones_like(start) / len(start) ** 0.5
    # tol=0 asks for machine precision
    values, vectors = eigsh(gram.cpu().numpy(), k=1, v0=start.cpu().numpy(), tol=0)
    return float(values[0]), torch.as_tensor(vectors[:, 0], device=gram.device)


def stable_rank(gram: Float64[Tensor, "m m"]) -> tuple[Width, Width]:
    """The stable rank tr S / max l, from below and from above.

    The largest eigenvalue of a sample is too large on average, so tr S over it is too small. The
    variance of one half of the points along the leading direction of the other half is too small
    on average, so tr S over it (the mean of both ways round) is too large. The truth lies between
    the two but for their standard errors, and they agree where one direction leads clearly.

    Args:
        gram: Inner products of the points about their mean, as `centered_gram` gives them.

    Returns:
        The lower and the upper estimate; NaN where the points are all equal.

    Raises:
        ValueError: If there are fewer than 6 points.
    """
    m = len(gram)
    if m < 6:
        raise ValueError(f"expected at least 6 points, got {m}")
    if not bool(gram.diagonal().any()):
        return Width(math.nan, math.nan), Width(math.nan, math.nan)
    share = m * gram.diagonal() / gram.trace()  # [m], of the variance; mean 1
    top, vector = top_variance(gram)
    along = m * vector.square()  # [m], of the variance along it; mean 1
    below = Width(gram.trace().item() / top, _error(share - along))

    held_out = torch.zeros(m, dtype=torch.double, device=gram.device)
    halves = torch.arange(m, device=gram.device) % 2 == 0
    for mine in (halves, ~halves):
        _, vector = top_variance(_recentered(gram[mine][:, mine]))
        weights = vector - vector.mean()  # no change, but where that half has no direction
        square = weights @ gram[mine][:, mine] @ weights
        if square > ROUNDING * gram.trace():  # else that half has no direction
            held_out[~mine] = (gram[~mine][:, mine] @ weights).square() / square
    along = held_out / held_out.mean()
    above = Width((gram.trace() / held_out.sum()).item(), _error(share - along))
    return below, above


def _recentered(gram: Float64[Tensor, "m m"]) -> Float64[Tensor, "m m"]:
    """The Gram matrix about the mean of its own points."""
    return gram - gram.mean(dim=0) - gram.mean(dim=1, keepdim=True) + gram.mean()


def _error(influence: Float64[Tensor, " m"]) -> float:
    """Standard error of a mean."""
    return (influence.std() / len(influence) ** 0.5).item()
