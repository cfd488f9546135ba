r"""Coordinates of the points, and the highest of them in given directions, with its rounding error.

A direction w of the coordinates z = map' y is the direction v = map w of the points. Let u be the
unit roundoff, g(k) = k u / (1 - k u). The highest of the w.z_i, as computed, differs from that of
the v.y_i by no more than

- g(k) |w| Z for the product of k terms in any order, Z = max |z_i|,
- u |w| Z for coordinates rounded to float32, g'(d + 3) |map| |w| Y for computing them in float64,
- g'(k + 3) |map| |w| Y for v as computed instead of map w, Y = max |y_i|,

with |map| the Frobenius norm, and some smallest normal numbers for underflow. Primes: of float64.
What comes of v.q, of |v| and of y = (x - center) * scale is g'(2 d + 22) |v| (Y + |q|) together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from offmap.numerics.hull.source import Source
from offmap.numerics.product import add_product, exact_float32

__all__ = ["Frame", "Separation", "folded", "frame_of", "separate", "top"]

PARTS = 16  # of the points, of each of which the highest is told if there are
FEW = 192  # directions, or fewer
FOLD = 32  # rows whose highest is found before it is asked which it is


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Coordinates z_i = map' y_i of the points, or y_i themselves."""

    source: Source
    map: Float64[Tensor, "d k"] | None
    dtype: torch.dtype
    stored: Float[Tensor, "n k"] | None  # all of them, if they fit
    reach: float  # max |y_i|
    side: tuple[int, int]  # directions and rows that are multiplied at once

    @property
    def columns(self) -> int:
        """The number of coordinates."""
        return self.source.dimension if self.map is None else self.map.shape[1]

    def place(self, shifted: Float64[Tensor, "b d"]) -> Float64[Tensor, "b k"]:
        """Coordinates of points or queries."""
        return shifted if self.map is None else shifted @ self.map

    def lift(self, directions: Float[Tensor, "b k"]) -> Float64[Tensor, "b d"]:
        """Directions of these coordinates, as directions of the points."""
        wide = directions.double()
        return wide if self.map is None else wide @ self.map.T

    def tiles(self) -> Iterator[tuple[int, Float[Tensor, "t k"]]]:
        """First row and coordinates of each tile, in order."""
        if self.stored is not None:
            for start in range(0, len(self.stored), self.side[1]):
                yield start, self.stored[start : start + self.side[1]]
            return
        for start, tile in self.source.tiles():
            coordinates = self.place(tile).to(self.dtype)
            for first in range(0, len(coordinates), self.side[1]):
                yield start + first, coordinates[first : first + self.side[1]]


class Separation(NamedTuple):
    """How far queries lie beyond all points, in a direction each."""

    margin: Float64[Tensor, " b"]  # lower bound on (v.q - max v.y) / |v|, rounding subtracted
    slack: Float64[Tensor, " b"]  # how much was subtracted
    row: Int64[Tensor, "b p"]  # the highest point of each of p parts, the highest of them first
    normal: Float64[Tensor, "b d"]  # v: rounded and lifted, not of unit length


def frame_of(
    source: Source,
    transform: Float64[Tensor, "d k"] | None,
    reach: float,
    memory: int,
    *,
    store: bool,
    exact: bool = False,
) -> Frame:
    """Coordinates in float32, or in float64 if exact.

    Args:
        source: The points.
        transform: The map to the coordinates; None: the points themselves.
        reach: The largest |y|.
        memory: Bytes, of which tiles take 1/16, and the coordinates of all points at most 2/5.
        store: Whether to compute these once, if they fit.
        exact: Whether float32 does not do.
    """
    narrow = exact_float32(source.device) and not exact
    dtype = torch.float32 if narrow else torch.float64
    area = min(2**20, memory // 16 // dtype.itemsize // 2)
    rows = min(2048, max(FOLD, int(area**0.5) // FOLD * FOLD))
    side = (max(16, min(512, area // rows // 16 * 16)), rows)
    frame = Frame(source, transform, dtype, None, reach, side)
    if not store or len(source) * frame.columns * dtype.itemsize > 2 * memory // 5:
        return frame
    stored = torch.empty(len(source), frame.columns, dtype=dtype, device=source.device)
    for start, tile in frame.tiles():
        stored[start : start + len(tile)] = tile
    return Frame(source, transform, dtype, stored, reach, side)


def separate(
    frame: Frame, directions: Float[Tensor, "b k"], queries: Float64[Tensor, "b d"]
) -> Separation:
    """The margin of each query in its direction, against all points.

    Args:
        frame: The coordinates to compute in.
        directions: One for each query, not zero, in the frame's coordinates.
        queries: In the coordinates of the source's tiles.
    """
    if frame.stored is None and frame.map is not None and len(directions) < 2 * frame.columns:
        plain = replace(frame, map=None)  # it is cheaper to lift the directions
        return separate(plain, frame.lift(directions), queries)
    directions = directions.to(frame.dtype)
    value, row, farthest = _highest(frame, directions)
    normal = frame.lift(directions)
    length, own = normal.norm(dim=1), queries.norm(dim=1)
    width, spread = directions.double().norm(dim=1), frame.source.dimension + 3
    u, v = (torch.finfo(dtype).eps / 2 for dtype in (frame.dtype, torch.float64))
    slack = _gamma(frame.columns + 1, u) * width * farthest
    slack += _gamma(2 * spread + 16, v) * length * (frame.reach + own)  # v.q, |v|, and y
    slack += 8 * frame.columns * torch.finfo(frame.dtype).tiny * (1 + width + farthest)
    if frame.map is not None:
        size = torch.linalg.matrix_norm(frame.map)
        slack += _gamma(spread + frame.columns + 3, v) * size * width * (frame.reach + own)
    slack *= 1 + 1e-6
    margin = ((normal * queries).sum(1) - value - slack) / length
    return Separation(margin.nan_to_num(-torch.inf), slack / length, row, normal)


def _gamma(terms: int, u: float) -> float:
    return terms * u / (1 - terms * u)


def _highest(frame: Frame, directions: Tensor) -> tuple[Tensor, Tensor, float]:
    """The largest w.z, rows of the largest of parts of the points, and the largest |z|."""
    count = len(directions)
    short = -count % 16
    padded = torch.cat((directions, directions.new_zeros(short, frame.columns)))
    parts = max(1, min(PARTS if count <= FEW else 1, len(frame.source) // frame.side[1]))
    value = directions.new_full((parts, len(padded)), -torch.inf)
    row = torch.zeros_like(value, dtype=torch.int64)
    farthest = 0.0
    for start, tile in frame.tiles():
        last = start + len(tile) - 1
        farthest = max(farthest, tile.square().sum(1).amax().item())
        tile = folded(tile)
        place = start * parts // len(frame.source)
        for first in range(0, len(padded), frame.side[0]):
            part = slice(first, first + frame.side[0])
            scores = add_product(tile.new_zeros(len(tile)), padded[part], tile)
            better, highest, column = top(scores, value[place, part])
            value[place, part][better] = highest
            row[place, part][better] = (start + column).clamp_(max=last)
    rounding = 1 + frame.columns * torch.finfo(frame.dtype).eps
    value, order = value[:, :count].T.sort(1, descending=True)
    row = row[:, :count].T.gather(1, order)
    return value[:, 0].double(), row, farthest**0.5 * rounding


def folded(tile: Float[Tensor, "t k"]) -> Float[Tensor, "u k"]:
    """Rows to a multiple of FOLD: the last one is repeated."""
    short = -len(tile) % FOLD
    return torch.cat((tile, tile[-1:].expand(short, -1))) if short else tile


def top(
    scores: Float[Tensor, "b u"], least: Float[Tensor, " b"]
) -> tuple[Int64[Tensor, " c"], Float[Tensor, " c"], Int64[Tensor, " c"]]:
    """The rows whose highest score is above their least; that score, and its column.

    The highest of FOLD columns at a time is found first: that is one read, and needs no index.
    """
    groups = scores.unflatten(1, (FOLD, -1))
    highest, group = groups.amax(1).max(1)
    better = (highest > least).nonzero().flatten()
    group = group[better]
    member = groups[better, :, group].argmax(1)
    return better, highest[better], member * groups.shape[2] + group
