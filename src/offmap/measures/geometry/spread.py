"""Where a table's rows lie on average, and how far from there: in one pass."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.table import CHUNK_BYTES, Table


class Spread(NamedTuple):
    """The mean of the rows, their mean squared distance to it, and how many columns vary."""

    mean: Float64[Tensor, " d"]
    variance: float
    varying: int

    @property
    def radius(self) -> float:
        """Root-mean-square distance to the mean."""
        return math.sqrt(self.variance)


def spread_of(table: Table) -> Spread:
    """The spread of all rows, flattened; summed about the first, so that equal rows give 0."""
    first = table.read(0, 1).flatten(1).double()
    total, square = torch.zeros_like(first[0]), torch.zeros_like(first[0])
    for block in row_blocks(table):
        moved = block - first
        total += moved.sum(dim=0)
        square += moved.square().sum(dim=0)
    shift = total / len(table)
    variance = (square / len(table) - shift.square()).clamp_min(0)
    return Spread(first[0] + shift, variance.sum().item(), int((square > 0).sum()))


def row_blocks(table: Table) -> Iterator[Float64[Tensor, "b d"]]:
    """All rows in order, flattened, in float64, about 40 MiB at a time."""
    size = max(1, CHUNK_BYTES // (8 * max(1, math.prod(table.shape))))
    return (chunk.flatten(1).double() for chunk in table.chunks(size))
