"""Least squares on Gaussian data: many problems at once, and the exact laws of their mean risk."""

from math import inf

import torch
from jaxtyping import Float64
from torch import Tensor


def normal(*shape: int, generator: torch.Generator) -> Float64[Tensor, "..."]:
    """Standard normal numbers."""
    return torch.randn(*shape, generator=generator, dtype=torch.double)


def least_norm(
    inputs: Float64[Tensor, "draws n p"], targets: Float64[Tensor, "draws n"]
) -> Float64[Tensor, "draws p"]:
    """The least-squares fit of each problem; of all that fit exactly, the one of least norm.

    From the Gram matrix of the smaller side, so that p near n should be left to others.
    """
    n, p = inputs.shape[1:]
    if p > n:
        return _times(inputs.mT, torch.linalg.solve(inputs @ inputs.mT, targets))
    return torch.linalg.solve(inputs.mT @ inputs, _times(inputs.mT, targets))


def excess_risk(n: int, p: int, signal: float, noise: float) -> float:
    r"""Exact mean of |fit - truth|^2 for n Gaussian inputs of p coordinates.

    .. math:: \sigma^2 \frac{p}{n-p-1} \quad (p \le n-2), \qquad
        r^2 \Big(1-\frac{n}{p}\Big) + \sigma^2 \frac{n}{p-n-1} \quad (p \ge n+2)

    Both are the mean trace of an inverse Wishart matrix; the least-norm fit also misses the part of
    the truth that is orthogonal to a random n-dimensional space. In between the mean is infinite.

    Args:
        n: Examples.
        p: Coordinates.
        signal: Squared norm of the truth.
        noise: Variance of the noise of a target.
    """
    if p <= n - 2:
        return noise * p / (n - p - 1)
    if p >= n + 2:
        return signal * (1 - n / p) + noise * n / (p - n - 1)
    return inf


def deviation(
    draws: Float64[Tensor, "settings draws"], law: Float64[Tensor, " settings"]
) -> Float64[Tensor, " settings"]:
    """How far the mean of independent draws lies from its law, in standard errors."""
    error = draws.std(dim=1) / draws.shape[1] ** 0.5
    return (draws.mean(dim=1) - law) / error


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
