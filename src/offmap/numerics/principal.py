"""Leading principal components, and rows that may exceed memory in their coordinates."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.numerics.neighbors import Blocks

__all__ = ["Principal", "principal_components"]

BLOCK_BYTES = 40 * 2**20  # of float64 rows held at once
WHOLE = 200  # dimensions up to which the covariance is decomposed whole
SPARE, ROUNDS = 10, 8  # beyond: spare directions, which speed convergence up, and iterations
ROUNDING = 1e-6  # of the root-mean-square radius; below it is rounding


class Principal(NamedTuple):
    """Directions of largest variance, in descending order."""

    mean: Float64[Tensor, " d"]
    axes: Float64[Tensor, "d k"]  # orthonormal columns
    scale: Float64[Tensor, " k"]  # standard deviation along each, never 0

    def project(self, rows: Shaped[Tensor, "n ..."] | Blocks) -> Float64[Tensor, "n k"]:
        """Rows in these coordinates, of unit variance over the rows that they were made from."""
        maps = self.axes / self.scale
        pieces = [(block - self.mean) @ maps for block in _blocks(rows)]
        return torch.cat(pieces) if pieces else maps.new_empty(0, maps.shape[1])


def principal_components(
    rows: Shaped[Tensor, "n d"], k: int, *, generator: torch.Generator
) -> Principal:
    """The first `k` principal components, fewer where the rows fill fewer dimensions; in float64.

    Above 200 dimensions by subspace iteration (Halko et al. 2011, https://arxiv.org/abs/0909.4061):
    components of like variance may then mix.

    Args:
        rows: The points.
        k: How many components.
        generator: Source of the directions to start from.

    Raises:
        ValueError: If k < 1, or there are no rows.
    """
    n, d = rows.shape
    if k < 1 or not n:
        raise ValueError(f"expected k >= 1 and at least one row, got k={k} and {n} rows")
    values = rows.detach().double()
    mean = values.mean(dim=0)
    values = values - mean
    if d <= max(WHOLE, k + SPARE):
        basis = torch.eye(d, dtype=torch.double, device=values.device)
    else:
        basis = torch.randn(d, k + SPARE, dtype=torch.double, generator=generator)
        basis = basis.to(values.device)
        for _ in range(ROUNDS):
            basis = torch.linalg.qr(values.T @ (values @ basis)).Q
    seen = values @ basis
    variance, turn = torch.linalg.eigh(seen.T @ seen / n)
    scale, order = variance.clamp_min(0).sqrt().sort(descending=True)
    radius = math.sqrt(values.square().sum().item() / n)
    kept = int((scale[:k] > ROUNDING * radius).sum())
    return Principal(mean, basis @ turn[:, order[:kept]], scale[:kept])


def _blocks(rows: Tensor | Blocks) -> Iterator[Float64[Tensor, "b d"]]:
    """All rows in order, flattened, in float64."""
    first = rows[:1] if isinstance(rows, Tensor) else rows.read(0, 1)
    size = max(1, BLOCK_BYTES // (8 * max(1, first.numel())))
    for start in range(0, len(rows), size):
        stop = min(start + size, len(rows))
        block = rows[start:stop] if isinstance(rows, Tensor) else rows.read(start, stop)
        yield block.detach().reshape(len(block), -1).double()
