"""Exact nearest neighbors in the supremum norm: integers exclude, differences in float64 decide.

The distance is max_j |q_j - x_j|: no matrix product gives it, but a few columns are often enough
to see that a row is too far. So all values become codes of 15 bits, on which a processor compares
sixteen pairs at once, and columns are taken in the order in which they tell pairs apart. Pairs are
dropped as soon as their codes differ by more than the best distance so far allows; what survives
all columns, a few rows a query, is measured in float64 on the values as given.

The code of x is round((clamp(x) - low) / step). Clamping never takes two values farther apart, and
each block of codes says by how much they miss its clamped values: step |c(q) - c(x)| - slack is at
most |q - x|, whatever the data. A bad scale costs time, never a neighbor. Values on an even grid of
fewer than 2^15 steps, such as pictures, are their own codes.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int, Int16, Int64, Shaped
from torch import Tensor

from offmap.numerics.neighbors import Blocks

__all__ = ["Nearest", "nearest"]

TOP = 2**15 - 2  # the largest code
NEVER = 2**15 - 1  # stands for the difference of a pair that does not count
NONE = 2**62  # stands for no row
TILE = (128, 2048)  # queries and rows whose codes are compared at once: they stay in the cache
WIDTH = 16  # columns that are compared before one looks which pairs are left
FEW = 1 / 50  # share of a tile below which its pairs are followed one by one
SEEDS = 128  # rows with which every query is compared first
SAMPLE = 2**20  # values from which the scale is learned, and codes from which the order is


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The nearest row of each query."""

    distance: Float64[Tensor, " m"]  # largest absolute difference, in the unit of the data
    index: Int64[Tensor, " m"]  # a row of the bank


def nearest(
    queries: Shaped[Tensor, "m ..."],
    bank: Shaped[Tensor, "n ..."] | Blocks,
    *,
    labels: tuple[Int[Tensor, " _"], Int[Tensor, " _"]] | None = None,
    exclude: Int[Tensor, " m"] | None = None,
    memory: int = 512 * 2**20,
) -> Nearest:
    """The nearest bank row of each query in the supremum norm, exactly, on the CPU.

    Rows at the same distance tie, and any of them is reported. On a grid (pictures), distances
    that differ by no more than the rounding of the values are the same; whole numbers have none.

    Args:
        queries: the points to look up; they and the rows of the bank are flattened.
        bank: the rows to look among, a tensor or `Blocks`. They are read in order, once for every
            `memory / (32 d)` queries.
        labels: of queries and bank rows; only rows of another label than the query's count.
        exclude: a bank row for each query that does not count, such as the query itself; -1: none.
        memory: bytes to hold at most, beside arguments and result.

    Raises:
        ValueError: if rows differ in size, a value is not finite (the message names the row),
            memory is too small, labels or exclude do not fit, or a query has no row that counts.
    """
    size, count = len(queries), len(bank)
    step = _step(queries, bank, memory)
    counting = _Counting.of(size, count, labels, exclude)
    distance = torch.full((size,), torch.inf, dtype=torch.float64)
    index = torch.full((size,), NONE)
    for start in range(0, size, step):
        part = slice(start, min(start + step, size))
        rows = _flat(queries[part], start, "queries")
        panel: _Panel | None = None
        for offset, block in _blocks(bank, step):
            panel = panel or _Panel.of(rows, block, counting.queries(part))
            _search(panel, block, offset)
        assert panel is not None
        distance[part], index[part] = panel.best, panel.index
    lost = (index == NONE).nonzero().flatten().tolist()
    if lost:
        raise ValueError(f"expected a bank row that counts for each query, got none for {lost[0]}")
    return Nearest(distance, index)


# ------------------------------------------------------------------------------------------ input


def _step(queries: Tensor, bank: Tensor | Blocks, memory: int) -> int:
    """Rows that are held at once: codes twice, values, and what `codes` makes on the way.

    Raises:
        ValueError: if there are none, they differ in size, or memory is too small.
    """
    d, count = math.prod(queries.shape[1:]), len(bank)
    if not count or not d:
        raise ValueError(f"expected rows to look among, got {count} of {d} values")
    other = math.prod((bank[:1] if isinstance(bank, Tensor) else bank.read(0, 1)).shape[1:])
    if other != d:
        raise ValueError(f"expected queries and bank rows of one size, got {d} and {other}")
    if memory < (needed := max(2**24, 256 * d)):
        raise ValueError(f"expected memory >= {needed} for d={d}, got {memory}")
    return memory // (32 * d)


def _flat(rows: Tensor, first: int, name: str) -> Shaped[Tensor, "r d"]:
    """The rows as vectors on the CPU.

    Raises:
        ValueError: if a value is not finite.
    """
    rows = rows.detach().cpu().flatten(1)
    finite = rows.isfinite()
    if not bool(finite.all()):
        bad = int((~finite).any(dim=1).nonzero()[0])
        value = rows[bad][~finite[bad]][0].item()
        raise ValueError(f"expected finite values, got {value} in row {first + bad} of the {name}")
    return rows


def _blocks(bank: Tensor | Blocks, step: int) -> Iterator[tuple[int, Shaped[Tensor, "r d"]]]:
    for start in range(0, len(bank), step):
        stop = min(start + step, len(bank))
        block = bank[start:stop] if isinstance(bank, Tensor) else bank.read(start, stop)
        yield start, _flat(block, start, "bank")


@dataclass(frozen=True, slots=True, eq=False)
class _Counting:
    """Which rows count for which queries."""

    mine: Int[Tensor, " m"]  # label of each query
    theirs: Int[Tensor, " n"]  # label of each row
    own: Int64[Tensor, " m"]  # a row that does not count; -1: none

    @staticmethod
    def of(
        size: int, count: int, labels: tuple[Tensor, Tensor] | None, exclude: Tensor | None
    ) -> "_Counting":
        if labels is None:
            both = (torch.arange(size + count) >= size).long()
        else:
            if (got := (len(labels[0]), len(labels[1]))) != (size, count):
                raise ValueError(f"expected {size} and {count} labels, got {got}")
            both = torch.cat([side.cpu().long() for side in labels]).unique(return_inverse=True)[1]
        both = both.int()
        own = torch.full((size,), -1) if exclude is None else exclude.cpu().long()
        if own.shape != (size,) or bool(((own < -1) | (own >= count)).any()):
            raise ValueError(f"expected {size} rows to exclude, from -1 to {count - 1}")
        return _Counting(both[:size], both[size:], own)

    def queries(self, part: slice) -> "_Counting":
        return _Counting(self.mine[part], self.theirs, self.own[part])

    def out(self, queries: slice, rows: Int64[Tensor, " r"]) -> Bool[Tensor, "p r"]:
        """Pairs that do not count; rows ascend."""
        out = self.mine[queries, None] == self.theirs[rows]
        own = self.own[queries]
        here = (own >= rows[0]) & (own <= rows[-1])
        out[here] |= own[here, None] == rows
        return out


# ------------------------------------------------------------------------------------------ codes


@dataclass(frozen=True, slots=True)
class _Scale:
    """How values become codes."""

    low: float
    step: float

    @staticmethod
    def of(rows: Shaped[Tensor, "r d"]) -> "_Scale":
        """The grid on which a sample of the values lies, or an even one over most of them."""
        sample = rows[:: -(-rows.numel() // SAMPLE)].double().flatten()
        values = sample.unique()
        low, span = values[0].item(), (values[-1] - values[0]).item()
        if span == 0 or not math.isfinite(span):
            return _Scale(low, 1.0)
        steps = round(min(span / values.diff().amin().item(), 2 * TOP))
        off = (values - low) / (span / steps)
        if steps <= TOP and (off - off.round()).abs().amax() < 1e-3:
            return _Scale(low, span / steps)
        ends = sample.sort().values[[len(sample) // 1000, -1 - len(sample) // 1000]].tolist()
        low, span = (ends[0], ends[1] - ends[0]) if ends[0] < ends[1] else (low, span)
        return _Scale(low, span / TOP)

    def codes(self, rows: Shaped[Tensor, "r d"]) -> tuple[Int16[Tensor, "r d"], float]:
        """Codes, and the largest distance of a clamped value from what its code stands for."""
        codes = torch.empty(rows.shape, dtype=torch.int16)
        miss = 0.0
        for part in _slices(len(rows), max(1, SAMPLE // rows.shape[1])):
            values = rows[part].to(torch.float64, copy=True)
            values = values.sub_(self.low).div_(self.step).clamp_(0, TOP)
            whole = values.round()
            codes[part] = whole.short()
            miss = max(miss, values.sub_(whole).abs_().amax().item())
        # The lines above round, by less than 1e-9 of a step; on whole numbers they do not.
        return codes, (miss + 1e-9) * self.step if miss else 0.0


@dataclass(slots=True, eq=False)
class _Panel:
    """Queries that are searched together, and the best row of each so far."""

    rows: Shaped[Tensor, "p d"]
    counting: _Counting
    scale: _Scale
    codes: Int16[Tensor, "p d"]
    miss: float
    best: Float64[Tensor, " p"]
    index: Int64[Tensor, " p"]
    order: Int64[Tensor, " d"] | None = None  # of the columns: learned from the first block

    @staticmethod
    def of(rows: Tensor, block: Tensor, counting: _Counting) -> "_Panel":
        scale = _Scale.of(block)
        best = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        index = torch.full((len(rows),), NONE)
        return _Panel(rows, counting, scale, *scale.codes(rows), best, index)

    def limit(self, queries: slice | Tensor, miss: float) -> Int16[Tensor, " s"]:
        """The largest difference of codes at which a row may be nearer than the best so far."""
        slack, step = self.miss + miss, self.scale.step
        tie = 2 * slack if slack < step / 100 else 0.0
        reach = ((self.best[queries] + (slack - tie)) / step).ceil() - 1
        return reach.clamp(-1, TOP).short()


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows of the bank that are compared with a panel."""

    rows: Shaped[Tensor, "r d"]
    offset: int
    codes: Int16[Tensor, "r d"]
    miss: float


# ----------------------------------------------------------------------------------------- search


def _search(panel: _Panel, rows: Shaped[Tensor, "r d"], offset: int) -> None:
    """Takes the rows of a block into account."""
    block = _Block(rows, offset, *panel.scale.codes(rows))
    if panel.order is None:
        _seed(panel, block)
        panel.order = _order(panel, block)
        panel.codes = panel.codes[:, panel.order]
    theirs = block.codes[:, panel.order]
    columns = theirs.T.contiguous()
    for there, here in itertools.product(
        torch.arange(len(rows)).split(TILE[1]), _slices(len(panel.rows), TILE[0])
    ):
        out = panel.counting.out(here, offset + there)
        there = slice(int(there[0]), int(there[-1]) + 1)
        limit = panel.limit(here, block.miss)
        query, row, apart, done = _dense(panel.codes[here], columns[:, there], out, limit)
        query, row = query + here.start, row + there.start
        for part in _slices(len(columns), 4 * WIDTH, done):
            gap = (panel.codes[query, part] - theirs[row, part]).abs_().amax(dim=1)
            apart = torch.maximum(apart, gap)
            left = apart <= panel.limit(query, block.miss)
            query, row, apart = query[left], row[left], apart[left]
        _measure(panel, block, query, row, apart)


def _slices(stop: int, step: int, start: int = 0) -> list[slice]:
    return [slice(first, min(first + step, stop)) for first in range(start, stop, step)]


def _dense(
    queries: Int16[Tensor, "p d"],
    columns: Int16[Tensor, "d r"],
    out: Bool[Tensor, "p r"],
    limit: Int16[Tensor, " p"],
) -> tuple[Int64[Tensor, " s"], Int64[Tensor, " s"], Int16[Tensor, " s"], int]:
    """Pairs within the limit on the first columns, their difference there, and how many those are.

    As many columns as it takes to leave few pairs, at most all.
    """
    apart = torch.zeros(out.shape, dtype=torch.int16).masked_fill_(out, NEVER)
    gap = torch.empty_like(apart)
    done = 0
    for part in _slices(len(columns), WIDTH):
        for column in range(part.start, part.stop):
            torch.sub(queries[:, column, None], columns[column], out=gap)
            torch.maximum(apart, gap.abs_(), out=apart)
        done = part.stop
        left = apart <= limit[:, None]
        if int(left.sum()) <= FEW * left.numel():
            break
    query, row = (apart <= limit[:, None]).nonzero(as_tuple=True)
    return query, row, apart[query, row], done


def _measure(
    panel: _Panel,
    block: _Block,
    query: Int64[Tensor, " s"],
    row: Int64[Tensor, " s"],
    apart: Int16[Tensor, " s"],
) -> None:
    """Puts the true distances of some pairs among the best, likeliest first."""
    order = apart.argsort(stable=True)
    size = max(1, 2**20 // block.rows.shape[1])
    while len(order):
        q, r = query[order[:size]], row[order[:size]]
        distance = (panel.rows[q].double() - block.rows[r].double()).abs_().amax(dim=1)
        nearer = distance < panel.best[q]
        q, r, distance = q[nearer], r[nearer], distance[nearer]
        panel.best.scatter_reduce_(0, q, distance, "amin")
        new = distance == panel.best[q]
        panel.index[q[new]] = NONE
        panel.index.scatter_reduce_(0, q[new], r[new] + block.offset, "amin")
        order = order[size:]
        order = order[apart[order] <= panel.limit(query[order], block.miss)]


def _seed(panel: _Panel, block: _Block) -> None:
    """A first row for each query: the nearest of a few by their codes."""
    some = torch.linspace(0, len(block.rows) - 1, SEEDS).long().unique()
    columns = block.codes[some].T.contiguous()
    for here in _slices(len(panel.rows), TILE[1]):
        out = panel.counting.out(here, some + block.offset)
        everything = torch.full((here.stop - here.start,), TOP, dtype=torch.int16)
        query, row, apart, _ = _dense(panel.codes[here], columns, out, everything)
        nearest_ = torch.full_like(everything, NEVER).scatter_reduce_(0, query, apart, "amin")
        first = apart == nearest_[query]
        _measure(panel, block, query[first] + here.start, some[row[first]], apart[first])


def _order(panel: _Panel, block: _Block) -> Int64[Tensor, " d"]:
    """Columns in the order in which they exclude pairs: each the most of those not yet excluded."""
    size = max(1, min(2048, SAMPLE // panel.rows.shape[1]))
    pair = torch.arange(size)
    query, row = pair * len(panel.rows) // size, pair * 7919 % len(block.rows)
    gap = (panel.codes[query] - block.codes[row]).abs_()
    beyond = gap > panel.limit(query, block.miss)[:, None]
    votes = beyond.sum(dim=0)
    chosen, left = [], beyond
    while len(left) and len(chosen) < gap.shape[1]:
        count = left.sum(dim=0)
        best = int(count.argmax())
        if count[best] == 0:
            break
        chosen.append(best)
        left = left[~left[:, best]]
    votes[chosen] = torch.arange(len(chosen), 0, -1) + size
    return votes.argsort(descending=True, stable=True)
