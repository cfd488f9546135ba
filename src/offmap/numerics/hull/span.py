"""The affine span of the points: principal directions, and how many of them are real."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.numerics.hull.source import Source

__all__ = ["Span", "span_bytes", "span_of"]

ROUNDING = torch.finfo(torch.float64).eps / 2


class Span(NamedTuple):
    """Orthonormal directions about the center, by falling variance, in which the points lie."""

    basis: Float64[Tensor, "d r"]
    deviation: Float64[Tensor, " r"]  # root mean square of the points along each
    radius: float  # root mean square of |y|
    reach: float  # max |y|
    near: float  # what lies no farther off the span is taken to lie in it


def span_bytes(count: int, dimension: int) -> int:
    """Bytes that finding the span takes."""
    return 48 * min(count, dimension) * dimension


def span_of(source: Source, tolerance: float) -> Span:
    """The fewest leading principal directions that all points lie near.

    Near is half of tolerance x root-mean-square radius, or what float64 rounding explains. One
    outlying point is enough to keep a direction.
    """
    basis, square, reach = _principal(source)
    radius = square.sum().sqrt().item()
    rounding = 4 * (source.dimension + 16) * ROUNDING * reach
    near = max(tolerance / 2 * radius, rounding)
    sure = int((square.sqrt() > near).sum())
    tail = basis[:, sure:]
    if tail.shape[1]:
        farthest, total = square.new_zeros(tail.shape[1]), square.new_zeros(tail.shape[1])
        for _, tile in source.tiles():
            coordinates = (tile @ tail).square_()
            total += coordinates.sum(0)
            off = coordinates.flip(1).cumsum_(1).flip(1)  # squared distance to what stays, if cut
            farthest = torch.maximum(farthest, off.amax(0))
        kept = sure + int((farthest.sqrt() > near).sum())
        square = torch.cat((square[:sure], total / len(source)))[:kept]
        basis = basis[:, :kept].contiguous()
    deviation = square.sqrt().clamp_min(torch.finfo(torch.float64).tiny)
    return Span(basis, deviation, radius, reach, near)


def _principal(source: Source) -> tuple[Tensor, Tensor, float]:
    """Directions [d, min(n, d)], mean squares along them in falling order, and max |y|."""
    count, dimension = len(source), source.dimension
    if count <= dimension:
        rows = torch.cat([tile for _, tile in source.tiles()])
        values, basis = torch.linalg.svd(rows, full_matrices=False)[1:]
        return basis.T, values.square() / count, rows.square().sum(1).amax().sqrt().item()
    covariance = source.center.new_zeros(dimension, dimension)
    farthest, width = 0.0, -(-dimension // 4)
    for _, tile in source.tiles():
        for first in range(0, dimension, width):  # of the lower triangle: the rest is not read
            part = covariance[first:, first : first + width]
            part.addmm_(tile[:, first:].T, tile[:, first : first + width])
        farthest = max(farthest, tile.square().sum(1).amax().item())
    values, basis = torch.linalg.eigh(covariance.div_(count))
    return basis.flip(1), values.flip(0).clamp_min(0), farthest**0.5
