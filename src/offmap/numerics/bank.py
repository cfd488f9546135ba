"""Nearest rows of a bank inside a network: plain tensor code that exports, with gradients.

Products propose, differences rank. The rows are laid out in slabs of `SLAB`, and the score of a row
x for a query q, |x|^2 - 2 q.x, comes from one product for each slab. The k smallest of a tile of
rows lie in the k columns whose minimum over the slabs is smallest: these are opened. A few more
rows than asked for are ranked by distances from differences, so that rounding in the products (of
about 1e-7 of the squared norms) seldom shows: center the bank. `neighbors.search` is certain, and
for banks that do not fit in memory, but no network can hold it.

Outside of a program, a `screen` may propose instead: bounds in a few dimensions, in a small part of
the time. A query whose nearest rows these bounds do not prove is looked up among all rows.
"""

import itertools
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

from offmap.numerics.neighbors import Blocks
from offmap.numerics.screen import COLUMNS, Screen, screen

__all__ = [
    "SPARE",
    "Index",
    "Thinned",
    "Tiles",
    "behind",
    "lengths",
    "nearest",
    "ranked",
    "thinned",
    "worthwhile",
]

SLAB = 2048  # rows in a product: 256 queries by 2048 scores of 4 bytes stay in a core's cache
TILE = 2**16  # rows whose scores are held at once
BLOCK = 256  # queries at a time
BLOCK_BYTES = 64 * 2**20
SPARE = 8  # rows that are ranked beside the k that are wanted
SCREENED = 64  # rows that are ranked behind a screen; for more than half as many it is not asked
FEWEST = 8192  # rows of a bank that is worth a screen
TRIAL = 64, 11, 0.9  # rows looked up, how many neighbors (itself is one), share proven at once
POOL_BYTES = 256 * 2**20  # of float32 points among which centers are chosen at once
CANDIDATES = 1024


@runtime_checkable
class Index(Protocol):
    """A bank that knows its own way to the nearest rows."""

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As the function of that name."""
        ...


def nearest(
    queries: Float[Tensor, "n d"], bank: Float[Tensor, "m d"] | Index, *, k: int
) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """Distance to the k nearest rows of a bank, nearest first, and their numbers.

    Differentiable in the queries; at distance 0 the gradient is 0. A distance d may be that of a
    row beyond the nearest, but of none whose squared distance exceeds theirs by more than about
    1e-6 (|q|^2 + |x|^2), and it is that row's distance to float32 rounding of q - x.

    Args:
        queries: The points to look up; taken in the bank's type.
        bank: The rows to look among, best centered; or an index of them.
        k: How many; at most m.

    Raises:
        ValueError: If k is out of range.
    """
    index = Tiles(bank, lengths(bank)) if isinstance(bank, Tensor) else bank
    return index.nearest(queries, k)


def lengths(bank: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
    """The squared length of each row."""
    return torch.linalg.vector_norm(bank, dim=1).square()


class Tiles(NamedTuple):
    """An index that is the bank itself, with what who asks often finds once.

    The `lengths` of its rows, and a screen of them if one is `worthwhile`.
    """

    bank: Float[Tensor, "m d"]
    squares: Float[Tensor, " m"]
    screen: Screen | None = None

    def nearest(
        self, queries: Float[Tensor, "n d"], k: int
    ) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
        """As the function of that name.

        Raises:
            ValueError: If k is out of range.
        """
        bank, squares = self.bank, self.squares
        if not 1 <= k <= len(bank):
            raise ValueError(f"expected k from 1 to the {len(bank)} rows of the bank, got {k}")
        queries = queries.to(bank.dtype)
        if torch.compiler.is_compiling():  # a program has no loop over queries
            return ranked(queries, bank, _proposed(queries.detach(), bank, squares, k), k)
        if self.screen is not None and 2 * k <= SCREENED:
            return self._screened(queries, k)
        return self._searched(queries, k)

    def _screened(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Behind the screen; what it does not prove, among all rows."""
        assert self.screen is not None
        step = self._step(SCREENED)
        if len(queries) > step:
            found = [self._screened(block, k) for block in queries.split(step)]
            distance, index = zip(*found, strict=True)
            return torch.cat(distance), torch.cat(index)
        distance, index, proven = behind(queries, self.bank, self.screen, k)
        if bool(proven.all()):
            return distance, index
        open_ = (~proven).nonzero()[:, 0]
        other, rows = self._searched(queries[open_], k)
        return distance.index_copy(0, open_, other), index.index_copy(0, open_, rows)

    def _searched(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Among all rows."""
        bank, squares = self.bank, self.squares
        found = [
            ranked(block, bank, _proposed(block.detach(), bank, squares, k), k)
            for block in queries.split(self._step(k + SPARE))
        ]
        distance, index = zip(*found, strict=True)
        return torch.cat(distance), torch.cat(index)

    def _step(self, ranks: int) -> int:
        """Queries at a time, if so many rows are ranked for each."""
        row = self.bank.itemsize * self.bank.shape[1]
        return max(1, min(BLOCK, BLOCK_BYTES // (row * ranks)))


def behind(
    queries: Float[Tensor, "n d"], bank: Float[Tensor, "m d"], screen: Screen, k: int
) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"], Bool[Tensor, " n"]]:
    """The k nearest of the rows that a screen proposes, and whether it proves that they are.

    They are if none of them is farther than all that was not proposed must be.
    """
    rows, floor = screen.lowest(queries.detach(), SCREENED)
    distance, index = ranked(queries, bank, rows.clamp(max=len(bank) - 1), k)
    return distance, index, distance.detach()[:, -1].square() <= floor


def worthwhile(bank: Float[Tensor, "m d"]) -> Screen | None:
    """A screen of the bank, if it proves the neighbors of nearly all of some rows of it."""
    if len(bank) < FEWEST or bank.shape[1] < 2 * COLUMNS:
        return None
    made = screen(bank)
    count, k, share = TRIAL
    some = bank.detach()[:: len(bank) // count]
    return made if behind(some, bank, made, k)[2].double().mean() >= share else None


def _proposed(queries: Tensor, bank: Tensor, squares: Tensor, k: int) -> Int64[Tensor, "n s"]:
    """Rows with the smallest scores of all, a few more than k."""
    spare = min(k + SPARE, len(bank))
    width = max(SLAB, 4 * spare)  # of a slab
    step = -(-TILE // width) * width
    tiles = [
        _best(queries, rows, part, spare, width, first)
        for rows, part, first in zip(
            bank.split(step), squares.split(step), itertools.count(0, step), strict=False
        )
    ]
    if len(tiles) == 1:
        return tiles[0][1]
    scores, index = (torch.cat(parts, dim=1) for parts in zip(*tiles, strict=True))
    return index.gather(1, scores.topk(spare, largest=False, sorted=False).indices)


def _best(
    queries: Tensor, rows: Tensor, squares: Tensor, k: int, width: int, first: int
) -> tuple[Tensor, Int64[Tensor, "n s"]]:
    """The k smallest scores of a tile, all of them if it is shorter, and their rows in the bank."""
    slabs = [
        torch.addmm(part, queries, slab.T, alpha=-2)
        for part, slab in zip(squares.split(width), rows.split(width), strict=True)
    ]
    missing = slabs[0].shape[1] - slabs[-1].shape[1]
    if missing:
        slabs[-1] = functional.pad(slabs[-1], (0, missing), value=torch.inf)
    lowest = slabs[0]
    for slab in slabs[1:]:
        lowest = torch.minimum(lowest, slab)
    count = min(k, lowest.shape[1])
    column = lowest.topk(count, largest=False, sorted=False).indices
    opened = torch.cat([slab.gather(1, column) for slab in slabs], dim=1)
    scores, place = opened.topk(min(k, len(rows)), largest=False, sorted=False)
    row = place // count * width + column.gather(1, place % count)
    # A query that is no number has no smallest score: what is missing may be taken for one.
    return scores, first + row.clamp(max=len(rows) - 1)


def ranked(
    queries: Float[Tensor, "n d"], bank: Float[Tensor, "m d"], index: Int64[Tensor, "n s"], k: int
) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """The k nearest of the rows proposed, by differences."""
    difference = queries[:, None] - functional.embedding(index, bank)
    distance = torch.linalg.vector_norm(difference, dim=-1, dtype=torch.float64)
    distance, place = distance.topk(k, dim=1, largest=False)
    return distance, index.gather(1, place)


class Thinned(NamedTuple):
    """Points that stand for all of them."""

    rows: Int64[Tensor, " m"]  # their numbers, in ascending order
    counts: Int64[Tensor, " m"]  # points for which each stands, itself among them
    radius: float  # the farthest that a point is from the one that stands for it


def thinned(
    points: Float[Tensor, "n d"] | Blocks, most: int, *, generator: torch.Generator
) -> Thinned:
    """At most so many points that stand for all: one half covers them, the other is a sample.

    Wherever a query lies, its distance to the nearest of them exceeds that to the nearest point by
    no more than the radius; and to the k-th nearest, where each counts for all that it stands for,
    it differs by no more than the radius.

    The one half are the greedy k-centers of Gonzalez (1985, doi.org/10.1016/0304-3975(85)90224-5),
    each the point farthest from those before it: with no choice of so many would the radius be less
    than half as large. Outliers all become centers, so that centers alone tell little of where the
    points are dense: hence the sample. Of points above `POOL_BYTES`, centers are chosen block after
    block; the radius is measured in any case.

    Args:
        points: A tensor, or `Blocks` that may exceed memory; read twice.
        most: How many to keep.
        generator: Source of the sample.

    Raises:
        ValueError: If most < 2, or there are no points.
    """
    count = len(points)
    if most < 2 or not count:
        raise ValueError(f"expected most >= 2 and at least one point, got {most} and {count}")
    if most >= count:
        return Thinned(torch.arange(count), torch.ones(count, dtype=torch.long), 0.0)
    half = most - most // 2
    drawn = torch.zeros(count, dtype=torch.bool)
    drawn[torch.randperm(count, generator=generator)[: most // 2]] = True
    fit = max(2 * half, POOL_BYTES // (4 * _read(points, 0, 1).shape[1]))
    step = count if count <= fit else fit - half  # the centers so far lie beside each block
    center = _read(points, 0, min(step, count)).double().mean(dim=0)
    rows, pool = torch.arange(0), torch.empty(0, len(center), device=center.device)
    kept, sample = drawn.nonzero().flatten(), []
    for start in range(0, count, step):
        stop = min(start + step, count)
        block = _centered(points, start, stop, center)
        sample.append(block[drawn[start:stop].to(block.device)])
        rows, pool = torch.cat((rows, torch.arange(start, stop))), torch.cat((pool, block))
        if len(pool) > half:
            chosen = _centers(pool, half).cpu()
            rows, pool = rows[chosen], pool[chosen.to(pool.device)]
    more = ~drawn[rows]
    rows, order = torch.cat((kept, rows[more])).sort()
    pool = torch.cat((*sample, pool[more.to(pool.device)]))[order.to(pool.device)]
    counts, radius = _covered(points, pool, center)
    return Thinned(rows[counts > 0], counts[counts > 0], radius)  # one of equal rows is enough


def _read(points: Tensor | Blocks, start: int, stop: int) -> Float[Tensor, "b d"]:
    rows = points[start:stop] if isinstance(points, Tensor) else points.read(start, stop)
    return rows.detach()


def _centered(points: Tensor | Blocks, start: int, stop: int, center: Tensor) -> Tensor:
    return (_read(points, start, stop).double() - center).float()


def _centers(points: Float[Tensor, "n d"], most: int) -> Int64[Tensor, " m"]:
    """Greedy centers, many between two passes over the points.

    Distances to the nearest center only fall. So while the farthest of some candidates is at least
    as far as every other point was, it is the farthest of all, and the next center.
    """
    squares = points.square().sum(dim=1)
    reach = torch.full_like(squares, torch.inf)  # squared, to the nearest center
    chosen = [squares.argmax()[None]]
    _approach(reach, points, squares, chosen[0])
    missing = most - 1
    while missing:
        far, rows = reach.topk(min(CANDIDATES, len(points)))
        chosen.append(rows[_greedy(points[rows], far, missing)])
        _approach(reach, points, squares, chosen[-1])
        missing -= len(chosen[-1])
    return torch.cat(chosen)


def _greedy(points: Tensor, far: Tensor, most: int) -> Int64[Tensor, " p"]:
    """Centers among candidates, while they are farther than what is no candidate."""
    squares, floor = points.square().sum(dim=1), far[-1]
    gap = torch.addmm(squares, points, points.T, alpha=-2) + squares[:, None]
    picked: list[Tensor] = []
    while len(picked) < most:
        reach, place = far.max(dim=0)
        if reach < floor:
            break
        picked.append(place)
        far = torch.minimum(far, gap[place])
        far[place] = -torch.inf
    return torch.stack(picked)


def _approach(reach: Tensor, points: Tensor, squares: Tensor, new: Tensor) -> None:
    """Squared distances to the nearest center, with some centers more; theirs is -infinity."""
    centers, theirs = points[new].T, squares[new]
    for here, rows, own in zip(*(x.split(SLAB) for x in (reach, points, squares)), strict=True):
        lowest = torch.addmm(theirs, rows, centers, alpha=-2).amin(dim=1)
        torch.minimum(here, lowest + own, out=here)
    reach[new] = -torch.inf


def _covered(
    points: Tensor | Blocks, centers: Float[Tensor, "m d"], center: Tensor
) -> tuple[Int64[Tensor, " m"], float]:
    """How many points are nearest to each center, and the largest distance to the nearest."""
    count, radius = torch.zeros(len(centers), dtype=torch.long), 0.0
    step = max(1, BLOCK_BYTES // (4 * centers.shape[1]))
    for start in range(0, len(points), step):
        block = _centered(points, start, min(start + step, len(points)), center)
        distance, index = nearest(block, centers, k=1)
        count += index.flatten().cpu().bincount(minlength=len(centers))
        radius = max(radius, distance.max().item())
    return count, radius
