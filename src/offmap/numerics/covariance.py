"""Covariances of few or degenerate rows, made regular; and maps in which they are the identity."""

import torch
from jaxtyping import Float64
from torch import Tensor

__all__ = ["ledoit_wolf", "shrunk", "whitening"]

ROUNDING = 1e-6  # of the mean variance: directions with less get this much


def ledoit_wolf(square: Float64[Tensor, "d d"], quartic: float, count: int) -> float:
    """The shrinkage of Ledoit and Wolf (2004), https://doi.org/10.1016/S0047-259X(03)00096-4.

    The convex combination of the covariance with the mean variance times the identity that is
    nearest to the true covariance, in expectation and in the Frobenius norm.

    Args:
        square: Sum of z z' over centered rows z.
        quartic: Sum of |z|^4.
        count: Rows.

    Returns:
        The weight of the identity, from 0 to 1.
    """
    covariance = square / count
    spread = covariance.square().sum().item()
    level = covariance.trace().item()
    apart = spread - level**2 / len(square)  # squared distance to the target
    noise = (quartic / count - spread) / count
    return min(1.0, max(0.0, noise) / apart) if apart > 0 else 1.0


def shrunk(covariance: Float64[Tensor, "d d"], weight: float) -> Float64[Tensor, "d d"]:
    """A covariance with its mean variance in every direction mixed in, by weight."""
    level = covariance.diagonal().mean()
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return (1 - weight) * covariance + weight * level * eye


def whitening(covariance: Float64[Tensor, "d d"]) -> Float64[Tensor, "d d"]:
    """W with W W' the inverse of a covariance: rows z have distances |z W|.

    Raises:
        ValueError: If there is no variance in any direction.
    """
    variance, axes = torch.linalg.eigh(covariance)
    floor = ROUNDING * variance.mean()
    if not floor > 0:
        raise ValueError("expected a covariance that is not 0")
    return axes / variance.clamp_min(floor).sqrt()
