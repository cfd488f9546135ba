"""Gaussians fitted to features: a mean for each class, one covariance for all."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from offmap.attempt import InputError
from offmap.numerics.covariance import ledoit_wolf, shrunk, whitening
from offmap.score import Known


class Gaussians(NamedTuple):
    """Normal laws of one covariance."""

    means: Float64[Tensor, "c d"]
    whitening: Float64[Tensor, "d d"]  # rows z have Mahalanobis distances |z W|


def gaussians(known: Known, labels: Int[Tensor, " n"], shrinkage: float | None) -> Gaussians:
    """One for each label that occurs; the covariance is that within them, shrunk.

    Args:
        known: Where the features come from; read twice.
        labels: Which law each of them is counted to.
        shrinkage: Weight of the mean variance in every direction; None: as Ledoit and Wolf.

    Raises:
        ValueError: If the shrinkage is not in [0, 1].
        InputError: If a label occurs once, features never vary or are too wide for the memory.
    """
    assert known.features is not None
    if shrinkage is not None and not 0 <= shrinkage <= 1:
        raise ValueError(f"expected shrinkage in [0, 1], or none, got {shrinkage}")
    d = known.features.dimension
    if 32 * d * d > known.memory:
        raise InputError(
            f"expected room for the covariance of {d:,} features, {32 * d * d:,} bytes, got a "
            f"memory budget of {known.memory:,}: set feature_layer to a narrower layer"
        )
    values, which, counts = labels.unique(return_inverse=True, return_counts=True)
    if int(counts.min()) < 2:
        alone = values[counts.argmin()].item()
        raise InputError(
            f"expected at least 2 training examples of each class, got 1 of class {alone}: "
            "leave it out, or add some"
        )
    means = torch.zeros(len(values), d, dtype=torch.double)
    for rows, label in _chunks(known, which):
        means.index_add_(0, label, rows)
    means /= counts[:, None]
    square, quartic = torch.zeros(d, d, dtype=torch.double), 0.0
    for rows, label in _chunks(known, which):
        apart = rows - means[label]
        square.addmm_(apart.T, apart)
        quartic += apart.square().sum(dim=1).square().sum().item()
    if not square.trace() > 0:
        raise InputError(
            f"expected features that vary within classes, got the same for all at the input of "
            f"{known.features.layer!r}: set feature_layer to an earlier layer"
        )
    weight = ledoit_wolf(square, quartic, len(labels)) if shrinkage is None else shrinkage
    return Gaussians(means, whitening(shrunk(square / len(labels), weight)))


def _chunks(known: Known, which: Tensor) -> Iterator[tuple[Float64[Tensor, "m d"], Tensor]]:
    """Features in order, some at a time, with the position of each one's label."""
    assert known.features is not None
    first = 0
    for chunk in known.features.chunks():
        yield chunk.double(), which[first : first + len(chunk)]
        first += len(chunk)


def squared(
    features: Float[Tensor, "n d"],
    center: Float64[Tensor, " d"],
    means: Float64[Tensor, "c d"],
    white: Float64[Tensor, "d d"],
) -> Float64[Tensor, "n c"]:
    """Squared Mahalanobis distances to whitened means about a center.

    In float64: correlated features cancel in the whitened ones, and squares in the differences.
    """
    z = (features.double() - center) @ white
    square = z.square().sum(dim=1, keepdim=True) + means.square().sum(dim=1)
    return torch.addmm(square, z, means.T, alpha=-2)
