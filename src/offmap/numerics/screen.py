r"""Which rows of a bank may be near to a query: bounds in a few dimensions, never too large.

A point becomes its coordinates along orthonormal axes A, and its distance from their span. Between
points so shortened no distance exceeds that between the points themselves: along the axes it is the
same, and off them, by the triangle inequality,

.. math:: \lVert A^\top (q - x) \rVert^2 + (\lVert q_\perp \rVert - \lVert x_\perp \rVert)^2
          \le \lVert q - x \rVert^2

The axes are those along which the rows are longest, so that little is lost where rows fill few
dimensions, as features do. The squared bound less the query's own length is one product with
`COLUMNS` columns. Points are shortened in float64, whatever their dimension: what rounding can add
to a bound is a few units in the last place of float32, and is taken off again (`_slack`).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional

__all__ = ["COLUMNS", "Screen", "screen"]

COLUMNS = 16  # of a shortened row: along the axes, the distance from them, the squared length
WIDTH = 4096  # rows beside one another: of those in a column the smallest bound is looked at first
FOLDS = 8  # in which the columns in turn are laid beside one another
CACHE = 2**18  # bounds at a time: they stay in the cache until they have been looked through
HELD = 2**22  # bounds kept at once, so that these stay in the next larger one,
TOGETHER = 16  # but no fewer queries at a time: each time all rows are read
SAMPLE = 1024  # rows from which the axes are taken
CHUNK = 8192  # rows shortened at a time
RANGE = (1e-30, 1e37)  # of squared lengths whose sums and products float32 can hold


class Screen(NamedTuple):
    """The rows of a bank, shortened."""

    axes: Float64[Tensor, "d r"]  # orthonormal columns
    slabs: Float[Tensor, "s e w"]  # of `WIDTH` rows, the last one filled up with infinities
    reach: Float64[Tensor, ""]  # length of the longest row

    def lowest(
        self, queries: Float[Tensor, "n d"], count: int
    ) -> tuple[Int64[Tensor, "n s"], Float64[Tensor, " n"]]:
        """The rows with the smallest bounds, and what no other row's squared distance is below.

        Args:
            queries: The points to look up.
            count: How many rows; at most `WIDTH` / `FOLDS`, and as many as there are. For a query
                that is no number they are any, perhaps beyond the last.
        """
        step = max(TOGETHER, HELD // (len(self.slabs) * self.slabs.shape[2]))
        if len(queries) <= step:
            return self._lowest(queries, count)
        found = [self._lowest(some, count) for some in queries.split(step)]
        rows, floor = zip(*found, strict=True)
        return torch.cat(rows), torch.cat(floor)

    def _lowest(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        queries = queries.double()
        along, off = _shortened(queries, self.axes)
        asked = torch.cat((along, off, torch.ones_like(off)), dim=1)
        row, score = _smallest(asked.to(self.slabs.dtype), self.slabs, count)
        length = torch.linalg.vector_norm(queries, dim=1)
        size = (length + self.reach).square()
        floor = torch.addcmul(score.amax(dim=1).double(), length, length)
        floor = floor.sub(size, alpha=_slack(self.slabs))
        return row, torch.where(size < RANGE[1], floor, -torch.inf)


def screen(bank: Float[Tensor, "m d"]) -> Screen:
    """The rows of a bank, shortened to `COLUMNS` numbers.

    Args:
        bank: The rows, best centered; of more than `COLUMNS` columns.
    """
    some = bank.detach()[:: -(-len(bank) // SAMPLE)].double()
    tall = len(some) >= some.shape[1]
    vectors = torch.linalg.eigh(some.T @ some if tall else some @ some.T).eigenvectors
    longest = vectors[:, 2 - COLUMNS :]
    axes = torch.linalg.qr(longest if tall else some.T @ longest).Q
    short = torch.cat([
        torch.cat(_shortened(part.double(), axes), dim=1) for part in bank.detach().split(CHUNK)
    ])  # fmt: skip
    square = short.square().sum(dim=1)
    rows = torch.cat((-2 * short, square[:, None]), dim=1).float()
    missing = -len(rows) % WIDTH
    rows = functional.pad(rows, (0, 0, 0, missing))
    rows[len(short) :, -1] = torch.inf
    slabs = rows.reshape(-1, WIDTH, rows.shape[1]).transpose(1, 2).contiguous()
    largest = square.max()
    # where sums and products of float32 are rounded to anything, nothing is proven
    return Screen(axes, slabs, torch.where(largest > RANGE[0], largest.sqrt(), torch.inf))


def _shortened(
    points: Float64[Tensor, "n d"], axes: Float64[Tensor, "d r"]
) -> tuple[Float64[Tensor, "n r"], Float64[Tensor, "n 1"]]:
    """Coordinates along the axes, and the distance from their span."""
    along = points @ axes
    return along, torch.linalg.vector_norm(points - along @ axes.T, dim=1, keepdim=True)


def _smallest(asked: Tensor, slabs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The rows whose products with each query are smallest, and these."""
    scores, lowest = _bounds(asked, slabs)
    folded = lowest.unflatten(1, (FOLDS, -1)).amin(dim=1)
    column = folded.topk(count, largest=False, sorted=False).indices
    column = _every(column, FOLDS, folded.shape[1])
    best = lowest.gather(1, column).topk(count, largest=False, sorted=False).indices
    column = column.gather(1, best)
    opened = scores.transpose(0, 1).gather(2, column[:, None].expand(-1, len(slabs), -1))
    score, best = opened.flatten(1).topk(count, largest=False, sorted=False)
    return _every(column, len(slabs), slabs.shape[2]).gather(1, best), score


def _bounds(
    asked: Float[Tensor, "n e"], slabs: Float[Tensor, "s e w"]
) -> tuple[Float[Tensor, "s n w"], Float[Tensor, "n w"]]:
    """The products, and the smallest over the slabs."""
    count, queries, width = len(slabs), len(asked), slabs.shape[2]
    step = max(1, CACHE // max(1, queries * width))
    if step >= count:
        scores = torch.bmm(asked.expand(count, -1, -1), slabs)
        return scores, scores.amin(dim=0)
    scores = asked.new_empty(count, queries, width)
    lowest = torch.full_like(scores[0], torch.inf)
    for some, score in zip(slabs.split(step), scores.split(step), strict=True):
        torch.bmm(asked.expand(len(some), -1, -1), some, out=score)
        least = score[0] if len(score) == 1 else score.amin(dim=0)
        torch.minimum(lowest, least, out=lowest)
    return scores, lowest


def _every(column: Int64[Tensor, "n c"], count: int, width: int) -> Int64[Tensor, "n p"]:
    """The places of columns in each of so many rows of a width, one row behind the other."""
    first = torch.arange(0, count * width, width, device=column.device)
    return (column[:, None] + first[:, None]).flatten(1)


def _slack(slabs: Tensor) -> float:
    """What rounding may have added to a squared bound, and taken from a squared distance, per L^2.

    With u half a unit in the last place and L the length of the query plus that of a row: rounding
    the shortened points moves the squared bound by up to 2 u L^2, the product of e columns by up to
    (e + 2) u L^2, and a squared distance from differences by up to 4 u L^2. This is twice the sum.
    """
    return (slabs.shape[1] + 8) * torch.finfo(slabs.dtype).eps
