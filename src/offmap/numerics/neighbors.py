"""Exact k-nearest-neighbor search in the Euclidean norm, in tiles that fit a memory budget.

Matrix products propose, error bounds decide, differences rank. The squared distance of a query q
to a row x is |q|^2 + |x|^2 - 2 q.x: one matrix product, which cancels badly. So the product only
excludes: a row is dropped when its score, less a rigorous bound on the score's rounding error,
lies above an upper bound on the k-th smallest distance. What survives, little more than k rows per
query, is ranked by distances summed in float64 from differences of the values as they were given.
Queries that float32 scores leave with too many rows are scored again in float64. Distinct rows that
tie with the k-th neighbor all have to be ranked: where most rows tie, the search is slow.

The error bound. Let c be the center, a = |q - c|, b >= |x - c|, u the unit roundoff. A sum of n
products, in any order, errs by at most gamma_n a b, where gamma_n = n u / (1 - n u). Columns are
summed in parts, so n = columns per part + parts. A score errs by gamma_n (2 a b + b^2) in the
product, by gamma_n b^2 in the norm, and by a few u (a + b)^2 in q - c, x - c, |q - c|^2 and the
sum that ranks: 64 more terms in n pay for these, some smallest normal numbers for underflow.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64, Int, Int64, Shaped
from torch import Tensor

from offmap.numerics.product import add_product, exact_float32

__all__ = ["Blocks", "Neighbors", "search"]


@runtime_checkable
class Blocks(Protocol):
    """Rows of one shape and type in a fixed order, read in blocks; may be larger than memory."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Tensor:
        """Rows start, ..., stop - 1, of shape [stop - start, ...]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The k nearest rows of each query, nearest first; ties go to the lower index."""

    distance: Float64[Tensor, "m k"]  # Euclidean, in the unit of the data
    index: Int64[Tensor, "m k"]  # rows of the bank


def search(
    queries: Shaped[Tensor, "m ..."],
    bank: Shaped[Tensor, "n ..."] | Blocks,
    *,
    k: int = 10,
    exclude: Int[Tensor, " m"] | None = None,
    memory: int = 512 * 2**20,
) -> Neighbors:
    """The k nearest bank rows of each query, exactly, on the queries' device.

    Types may differ: values are compared as numbers (64-bit integers as float64).

    Args:
        queries: the points to look up; they and the rows of the bank are flattened.
        bank: the rows to look among, a tensor or `Blocks`. They are read in order, once for every
            `memory / (1024 (k + 1))` queries: for every 47,000 by default.
        k: the number of neighbors; at most n, or n - 1 if a row is excluded.
        exclude: a bank row for each query that is not reported, such as the query itself; -1: none.
        memory: bytes to hold at most, beside arguments and result; the result is ever the same.

    Raises:
        ValueError: if k, exclude or memory is out of range, the rows differ in size, or a value is
            not finite: the message names the first row that holds one.
    """
    size, count, device = len(queries), len(bank), queries.device
    exclude = torch.tensor(-1).expand(size) if exclude is None else exclude.long()
    wrong = exclude[(exclude < -1) | (exclude >= count)]
    if len(wrong) or exclude.shape != (size,):
        got = wrong.tolist()[:1] or tuple(exclude.shape)
        raise ValueError(f"expected {size} rows to exclude, from -1 to {count - 1}, got {got}")
    count -= int((exclude >= 0).any())
    if not 1 <= k <= count:
        raise ValueError(f"expected k <= {count} and k >= 1, got {k}; lower k or add rows")
    plan = _plan(queries, bank[:1] if isinstance(bank, Tensor) else bank.read(0, 1), k, memory)
    square = torch.full((size, k), torch.inf, dtype=torch.float64, device=device)
    index = torch.full((size, k), -1, device=device)
    with torch.autocast(device.type, enabled=False):
        for part in _slices(size, plan.panel, 1):
            panel = None
            for offset, block in _blocks(bank, plan):
                if panel is None:
                    rows = queries[part].detach().reshape(-1, plan.dimension)
                    center = _center(block, device, plan)
                    near = _squares(rows, part.start, "queries", center, torch.float64, plan)
                    state = (exclude[part].to(device), square[part], index[part])
                    panel = _Panel(plan, rows, center, near, *state, square[part].clone())
                _search_block(panel, block, offset)
    square.sqrt_()
    for part in _slices(size, plan.panel):  # some roots are one unit off: keep them in order
        square[part] = square[part].cummax(1).values
    return Neighbors(square, index)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Sizes of all that is held at once, each with the share of the memory that it may take."""

    dimension: int
    k: int
    dtype: torch.dtype  # of the first scores: float32 where that holds the data exactly
    stored: torch.dtype  # of the bank
    panel: int  # queries searched together, with bounds and, while ranked, neighbors: 1/8
    pairs: int  # (query, row) pairs that wait to be ranked, with copies to sort them: 1/8
    ranked: int  # pairs whose differences are formed at once: 1/16, or as much as caches hold
    read: int  # bank rows read at once: 1/4, as the block before is held until the next is here
    side: int  # queries, and bank rows, whose scores are formed at once: 1/16, 1/16 to compare
    width: int  # bytes of a centered row formed at once: 1/16, and 1/16 for copies

    def columns(self, dtype: torch.dtype) -> list[slice]:
        """The parts of centered rows that are multiplied at once."""
        step = max(1, self.width // dtype.itemsize)
        return [slice(start, start + step) for start in range(0, self.dimension, step)]

    def slack(self, near: Tensor, far: float, dtype: torch.dtype) -> Tensor:
        """Bound on the error of a score as squared distance; near = |q - c|, far >= |x - c|."""
        parts, info = self.columns(dtype), torch.finfo(dtype)
        n = (min(parts[0].stop, self.dimension) + len(parts) + 64) * info.eps / 2
        underflow = 8 * self.dimension * info.tiny * (1 + near + far)
        return n / (1 - n) * ((near + far) ** 2 + far**2) + underflow


@dataclass(frozen=True, slots=True, eq=False)
class _Panel:
    """Queries searched together; `pending` pairs, yet to be ranked, have (query, row, bound)."""

    plan: _Plan
    rows: Shaped[Tensor, "p d"]
    center: Float64[Tensor, " d"]
    near: Float64[Tensor, " p"]  # |q - c|^2
    exclude: Int64[Tensor, " p"]
    square: Float64[Tensor, "p k"]  # |q - x|^2 of the neighbors ranked so far, part of the result
    index: Int64[Tensor, "p k"]  # and their rows
    upper: Float64[Tensor, "p k"]  # upper bounds on the k smallest squared distances
    pending: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def limit(self, which: slice | Tensor) -> Float64[Tensor, " w"]:
        """Upper bounds on the k-th smallest squared distance."""
        return torch.minimum(self.upper[which, -1], self.square[which, -1])


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """Bank rows that are scored at once: a slice of a block that was read from row `offset`."""

    block: Shaped[Tensor, "r d"]
    offset: int
    rows: slice
    square: Tensor  # |x - c|^2 in the type of the scores; inf: not to be reported
    reach: float  # max |x - c|


def _plan(queries: Tensor, row: Tensor, k: int, memory: int) -> _Plan:
    dimension, other = math.prod(queries.shape[1:]), math.prod(row.shape[1:])
    if dimension != other or not dimension:
        raise ValueError(f"expected queries and bank rows of one size, got {dimension} and {other}")
    dtypes = (queries.dtype, row.dtype)
    if queries.is_complex() or row.is_complex():
        raise ValueError(f"expected real values, got {dtypes}; see torch.view_as_real")
    needed = max(512 * dimension, 1024 * (k + 1), 2**16)
    if memory < needed:
        raise ValueError(f"expected memory >= {needed} for k={k}, d={dimension}, got {memory}")
    copied = 0 if queries.is_contiguous() else queries.dtype.itemsize * dimension
    side = min(2048, math.isqrt(memory // 128) // 16 * 16)
    return _Plan(
        *(dimension, k, _scored(dtypes, queries.device), row.dtype),
        panel=max(1, memory // 8 // (128 * (k + 1) + copied)),
        pairs=memory // 8 // 128,
        ranked=max(1, min(memory // 16, 2**24) // (32 * dimension)),
        read=max(1, memory // 8 // (row.dtype.itemsize * dimension)),
        side=side,
        width=min(8192, memory // 16 // (2 * side)),
    )


def _scored(dtypes: tuple[torch.dtype, torch.dtype], device: torch.device) -> torch.dtype:
    """Type of the first scores: float32 if that holds the values, and products come in no less."""
    narrow = all(dtype.itemsize <= (4 if dtype.is_floating_point else 2) for dtype in dtypes)
    return torch.float32 if narrow and exact_float32(device) else torch.float64


# First row and rows [r, d] of each block of the bank; a tensor is one block if that needs no copy.
def _blocks(bank: Tensor | Blocks, plan: _Plan) -> Iterator[tuple[int, Tensor]]:
    step = len(bank) if isinstance(bank, Tensor) and bank.is_contiguous() else plan.read
    for start in range(0, len(bank), step):
        stop = min(start + step, len(bank))
        block = bank[start:stop] if isinstance(bank, Tensor) else bank.read(start, stop)
        got = (len(block), math.prod(block.shape[1:]), block.dtype)
        wanted = (stop - start, plan.dimension, plan.stored)
        if got != wanted:
            raise ValueError(f"expected (rows, values, type) {wanted} from the bank, got {got}")
        yield start, block.detach().reshape(-1, plan.dimension)
        del block


def _slices(count: int, step: int, unit: int = 16) -> list[slice]:
    """Slices of `step`; what is left at the end, less than `unit`, is a slice by itself."""
    cuts = sorted({*range(0, count, step), count // unit * unit, count})
    return [slice(*pair) for pair in itertools.pairwise(cuts)]


def _center(block: Tensor, device: torch.device, plan: _Plan) -> Float64[Tensor, " d"]:
    """About the mean. Any point is correct; one amid the data makes the error bound small."""
    mean = block[:: -(-len(block) // plan.ranked)].to(device, torch.float64).mean(0)
    return torch.where(mean.abs() < 1e150, mean, 0.0).to(plan.dtype).double()


def _centered(rows: Tensor, center: Tensor, dtype: torch.dtype) -> Tensor:
    return rows.to(center.device, dtype) - center.to(dtype)


# |x - c|^2 of each row, summed in `dtype`: infinite where that overflows.
def _squares(
    rows: Tensor, first: int, name: str, center: Tensor, dtype: torch.dtype, plan: _Plan
) -> Float64[Tensor, " r"]:
    square = torch.zeros(len(rows), dtype=torch.float64, device=center.device)
    for tile, columns in itertools.product(_slices(len(rows), plan.side), plan.columns(dtype)):
        square[tile] += _centered(rows[tile, columns], center[columns], dtype).square_().sum(1)
    doubtful = ~(square < torch.finfo(torch.float64).max / 16)
    for row in doubtful.nonzero().flatten().tolist():
        value = rows[row][rows[row].abs().nan_to_num(torch.inf).argmax()]
        if dtype == torch.float64 or not value.isfinite():
            got = f"{value} in row {first + row} of the {name}"
            raise ValueError(f"expected finite values and squares, got {got}")
    return square


def _tile(panel: _Panel, block: Tensor, offset: int, rows: slice, dtype: torch.dtype) -> _Tile:
    square = _squares(block[rows], offset + rows.start, "bank", panel.center, dtype, panel.plan)
    reach = math.sqrt(square.amax())
    square[_surplus(block[rows], square, panel.plan)] = torch.inf
    return _Tile(block, offset, rows, square.to(dtype), reach)


def _surplus(rows: Tensor, square: Tensor, plan: _Plan) -> Int64[Tensor, " s"]:
    """Rows equal to more than k earlier ones (collapsed features, codes): no one's neighbors."""
    if (square.sort().values.diff() == 0).sum() <= plan.k:
        return torch.empty_like(square[:0], dtype=torch.int64)
    weights = torch.arange(1, plan.dimension + 1, device=square.device).sqrt().double()
    key, order = _squares(rows, 0, "bank", weights, torch.float64, plan).sort(stable=True)
    repeats = torch.zeros_like(order, dtype=torch.bool)
    for place in ((key[1:] == key[:-1]).nonzero().flatten() + 1).split(plan.ranked):
        these, before = order[place].to(rows.device), order[place - 1].to(rows.device)
        repeats[place] = (rows[these] == rows[before]).all(1).to(order.device)
    place = torch.arange(len(order), device=order.device)
    return order[place - place.where(~repeats, 0).cummax(0).values > plan.k]


def _search_block(panel: _Panel, block: Tensor, offset: int) -> None:
    """Takes the rows of a block into account; afterwards no pair is pending."""
    plan, near = panel.plan, math.sqrt(panel.near.amax())
    for rows in _slices(len(block), plan.side):
        tile = _tile(panel, block, offset, rows, plan.dtype)
        retry = torch.arange(len(panel.rows), device=panel.rows.device)
        if near + tile.reach < math.sqrt(torch.finfo(plan.dtype).max / 2):
            retry = torch.cat([_scan(panel, part, tile) for part in _slices(len(retry), plan.side)])
        if len(retry):
            tile = _tile(panel, block, offset, rows, torch.float64)
            for part in retry.split(plan.side):
                _scan(panel, part, tile)
    _rank(panel, block, offset)


def _scores(panel: _Panel, which: slice | Tensor, tile: _Tile) -> Tensor:
    """|x - c|^2 - 2 (q - c).(x - c), and inf for what is not to be reported."""
    scores, dtype = tile.square, tile.square.dtype
    for columns in panel.plan.columns(dtype):
        queries = _centered(panel.rows[:, columns][which], panel.center[columns], dtype)
        rows = _centered(tile.block[tile.rows, columns], panel.center[columns], dtype)
        scores = add_product(scores, queries.mul_(-2), rows)
    column = panel.exclude[which] - (tile.offset + tile.rows.start)
    query = ((column >= 0) & (column < scores.shape[1])).nonzero().flatten()
    scores[query, column[query]] = torch.inf
    return scores


def _scan(panel: _Panel, which: slice | Tensor, tile: _Tile) -> Int64[Tensor, " retry"]:
    """Makes pending what may be a neighbor; returns the queries that need scores in float64.

    The k-th smallest minimum of a group bounds the k-th smallest score; few groups are opened.
    """
    scores, k = _scores(panel, which, tile), panel.plan.k
    near, dtype, fold = panel.near[which], scores.dtype, 32
    slack = panel.plan.slack(near.sqrt(), tile.reach, dtype)
    while fold > 1 and (scores.shape[1] % fold or scores.shape[1] // fold < 4 * k):
        fold //= 2
    groups = scores.unflatten(1, (fold, -1))
    lowest = groups.amin(1)
    nearest = lowest.topk(min(k, lowest.shape[1]), largest=False, sorted=False).values.double()
    upper = torch.cat((panel.upper[which], nearest + (near + slack)[:, None]), 1)
    upper = upper.topk(k, largest=False).values
    limit = torch.minimum(upper[:, -1], panel.limit(which))
    cut = (limit - near + slack).to(dtype)
    cut = torch.nextafter(cut, torch.full_like(cut, torch.inf))
    cut[limit <= 0] = -torch.inf  # k earlier rows are at distance 0
    hits = lowest < cut[:, None]
    counts = hits.sum(1)
    retry = (counts > max(2 * k, hits.shape[1] // 4)) & (dtype != torch.float64)
    hits &= ~retry[:, None]
    panel.upper[which] = torch.where(retry[:, None], panel.upper[which], upper)
    ids = torch.arange(len(panel.rows), device=hits.device)[which]
    widest = max(1, int(counts.where(~retry, 0).amax())) * fold
    for part in _slices(len(hits), max(1, panel.plan.pairs // widest)):
        query, column, lower = _open(groups[part], hits[part], cut[part], (near - slack)[part])
        panel.pending.append((ids[part][query], tile.offset + tile.rows.start + column, lower))
        if sum(len(query) for query, _, _ in panel.pending) > panel.plan.pairs:
            _rank(panel, tile.block, tile.offset)
    return ids[retry]


def _open(groups: Tensor, hits: Tensor, cut: Tensor, base: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, column and lower bound on the squared distance of scores below the cut."""
    query, group = hits.nonzero(as_tuple=True)
    scores = groups[query, :, group]
    pair, member = (scores < cut[query, None]).nonzero(as_tuple=True)
    lower = (scores[pair, member].double() + base[query[pair]]).clamp_(min=0)
    return query[pair], group[pair] + member * hits.shape[1], lower


def _rank(panel: _Panel, block: Tensor, offset: int) -> None:
    """Ranks the pending pairs, a few of each query at a time in order of index: ties lose."""
    if not panel.pending:
        return
    query, row, lower = (torch.cat(parts) for parts in zip(*panel.pending, strict=True))
    panel.pending.clear()
    order = (query * (offset + len(block)) + row).argsort()
    while len(order := order[lower[order] < panel.limit(query[order])]):
        soon = _place(query[order]) < 4 * panel.plan.k + 32
        _merge(panel, query[order[soon]], row[order[soon]], block, offset)
        order = order[~soon]


def _place(query: Tensor) -> Int64[Tensor, " s"]:
    """Position of each entry within its run of equal entries."""
    counts = query.unique_consecutive(return_counts=True)[1]
    first = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.arange(len(query), device=query.device) - first


def _merge(panel: _Panel, query: Tensor, row: Tensor, block: Tensor, offset: int) -> None:
    """Puts pairs, sorted by query and row, among the neighbors found in earlier rows."""
    changed, k = query.unique_consecutive(), panel.plan.k
    square = torch.cat((panel.square[changed].flatten(), _exact(panel, query, block, row - offset)))
    query = torch.cat((changed.repeat_interleave(k), query))
    row = torch.cat((panel.index[changed].flatten(), row))
    order = square.argsort(stable=True)
    order = order[query[order].argsort(stable=True)]
    order = order[_place(query[order]) < k].view(-1, k)
    panel.square[changed], panel.index[changed] = square[order], row[order]


def _exact(panel: _Panel, query: Tensor, block: Tensor, row: Tensor) -> Float64[Tensor, " s"]:
    """|q - x|^2 from differences, summed pairwise in an order that depends on nothing but d."""
    square = panel.near.new_empty(len(query))
    for part in _slices(len(query), panel.plan.ranked):
        terms = block[row[part].to(block.device)].to(query.device, torch.float64)
        terms -= panel.rows[query[part]]
        terms.square_()
        width = panel.plan.dimension
        while width > 1:
            half = width // 2
            terms[:, :half] += terms[:, width - half : width]
            width -= half
        square[part] = terms[:, 0]
    return square
