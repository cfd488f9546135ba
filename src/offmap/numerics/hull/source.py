"""The points of a hull: read in blocks, centered, and scaled so that squares cannot overflow."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

from offmap.numerics.neighbors import Blocks

__all__ = ["Source", "finite", "source_of"]


@runtime_checkable
class Rows(Blocks, Protocol):
    """Blocks that also give single rows."""

    def take(self, rows: Int64[Tensor, " b"]) -> Tensor:
        """The rows at these positions, [b, ...]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Points x_i, given out as y_i = (x_i - center) * scale; the scale is a power of two."""

    points: Shaped[Tensor, "n ..."] | Blocks
    dimension: int
    device: torch.device  # where everything is computed
    step: int  # rows read at once
    tile: int  # rows held at once in float64
    center: Float64[Tensor, " d"]
    scale: float

    def __len__(self) -> int:
        return len(self.points)

    def tiles(self) -> Iterator[tuple[int, Float64[Tensor, "t d"]]]:
        """The first row and the rows of each tile, in order."""
        for start, block in _blocks(self.points, self.dimension, self.step):
            for first in range(0, len(block), self.tile):
                yield start + first, self.shifted(block[first : first + self.tile])

    def shifted(self, rows: Shaped[Tensor, "t d"]) -> Float64[Tensor, "t d"]:
        """Points or queries, in the coordinates of the tiles."""
        return rows.to(self.device, torch.float64).sub(self.center).mul_(self.scale)

    def take(self, rows: Int64[Tensor, " b"]) -> Float64[Tensor, "b d"]:
        """These rows. Blocks without `take` have no single rows: what holds some is read again."""
        if isinstance(self.points, Tensor):
            chosen = self.points[rows.to(self.points.device)].detach()
            return self.shifted(chosen.reshape(len(rows), self.dimension))
        if isinstance(self.points, Rows):
            return self.shifted(_checked(self.points.take(rows.cpu()), len(rows), self.dimension))
        unique, place = rows.unique(return_inverse=True)
        found = unique.new_empty(len(unique), self.dimension, dtype=torch.float64)
        for start in (unique // self.step).unique().tolist():
            here = (unique // self.step == start).nonzero().flatten()
            first, last = int(unique[here[0]]), int(unique[here[-1]])
            block = _checked(self.points.read(first, last + 1), last + 1 - first, self.dimension)
            found[here] = self.shifted(block[(unique[here] - first).to(block.device)])
        return found[place]


def source_of(
    points: Shaped[Tensor, "n ..."] | Blocks, device: torch.device, dimension: int, share: int
) -> Source:
    """Finds the center, which is exact in every constant column, and the scale, in one pass.

    Args:
        points: The points, a tensor or blocks.
        device: Where to compute.
        dimension: Values in each row.
        share: Bytes that reading, and converting to float64, may each take.

    Raises:
        ValueError: If there are no points, rows have another size, or a value is not finite.
    """
    if not len(points):
        raise ValueError("expected at least one point, got none")
    sample = points[:1] if isinstance(points, Tensor) else points.read(0, 1)
    step = max(1, share // 2 // (sample.dtype.itemsize * dimension))
    tile = max(1, min(2048, share // 3 // (8 * dimension)))
    low = torch.full((dimension,), torch.inf, dtype=torch.float64, device=device)
    high, total = -low, torch.zeros_like(low)
    for start, block in _blocks(points, dimension, step):
        for first in range(0, len(block), tile):
            wide = block[first : first + tile].to(device, torch.float64)
            finite(wide, start + first, "points")
            low, high = torch.minimum(low, wide.amin(0)), torch.maximum(high, wide.amax(0))
            total += wide.sum(0)
    total /= len(points)
    center = torch.where(low == high, low, total).clamp(low, high)
    extent = float(torch.maximum(high / 2 - center / 2, center / 2 - low / 2).amax())
    scale = math.ldexp(1.0, -min(max(math.frexp(extent)[1] + 1, -1000), 1000))
    return Source(points, dimension, device, step, tile, center, scale)


def finite(rows: Float64[Tensor, "t d"], first: int, name: str) -> None:
    """Refuses values that are infinite or not a number.

    Raises:
        ValueError: Naming the first row that holds one.
    """
    if not bool(torch.stack((rows.amin(), rows.amax())).isfinite().all()):
        row = int((~rows.isfinite().all(1)).to(torch.uint8).argmax())
        value = rows[row][~rows[row].isfinite()][0].item()
        raise ValueError(f"expected finite values, got {value} in row {first + row} of the {name}")


def _blocks(
    points: Tensor | Blocks, dimension: int, step: int
) -> Iterator[tuple[int, Shaped[Tensor, "b d"]]]:
    """First row and rows of each block; a tensor that needs no copy is one block."""
    if isinstance(points, Tensor) and points.is_contiguous():
        step = len(points)
    for start in range(0, len(points), step):
        stop = min(start + step, len(points))
        block = points[start:stop] if isinstance(points, Tensor) else points.read(start, stop)
        yield start, _checked(block, stop - start, dimension)
        del block


def _checked(block: Shaped[Tensor, "b ..."], rows: int, dimension: int) -> Shaped[Tensor, "b d"]:
    size = math.prod(block.shape[1:])
    if (len(block), size) != (rows, dimension):
        wanted = f"{rows} rows of {dimension} values"
        raise ValueError(f"expected {wanted} from the points, got {len(block)} of {size}")
    return block.detach().reshape(rows, dimension)
