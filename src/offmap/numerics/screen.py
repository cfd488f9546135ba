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
        found = [self._lowest(some, count) for some in queries.split(step)]
        rows, floor = zip(*found, strict=True)
        return torch.cat(rows), torch.cat(floor)

    def _lowest(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        short = _shortened(queries, self.axes)
        asked = functional.pad(-2 * short, (0, 1), value=1.0).to(self.slabs.dtype)
        row, score = _smallest(asked, self.slabs, count)
        length = torch.linalg.vector_norm(short, dim=1)
        size = (length + self.reach).square()
        floor = score.amax(dim=1) + length.square() - _slack(size, self.slabs)
        safe = (size > RANGE[0]) & (size < RANGE[1])  # beyond, bounds are rounded to anything
        return row, torch.where(safe, floor, -torch.inf)


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
    short = torch.cat([_shortened(part, axes) for part in bank.detach().split(CHUNK)])
    square = short.square().sum(dim=1)
    rows = torch.cat((short, square[:, None]), dim=1).float()
    missing = -len(rows) % WIDTH
    rows = functional.pad(rows, (0, 0, 0, missing))
    rows[len(short) :, -1] = torch.inf
    slabs = rows.reshape(-1, WIDTH, rows.shape[1]).transpose(1, 2).contiguous()
    return Screen(axes, slabs, square.max().sqrt())


def _shortened(
    points: Float[Tensor, "n d"], axes: Float64[Tensor, "d r"]
) -> Float64[Tensor, "n s"]:
    points = points.double()
    along = points @ axes
    off = torch.linalg.vector_norm(points - along @ axes.T, dim=1, keepdim=True)
    return torch.cat((along, off), dim=1)


def _smallest(asked: Tensor, slabs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The rows whose products with each query are smallest, and these."""
    scores = asked.new_empty(len(slabs), len(asked), slabs.shape[2])
    lowest = torch.full_like(scores[0], torch.inf)
    step = max(1, CACHE // max(1, lowest.numel()))
    for some, score in zip(slabs.split(step), scores.split(step), strict=True):
        torch.bmm(asked.expand(len(some), -1, -1), some, out=score)
        least = score[0] if len(score) == 1 else score.amin(dim=0)
        torch.minimum(lowest, least, out=lowest)
    folds = lowest.unflatten(1, (FOLDS, -1)).transpose(0, 1)
    fold = folds.amin(dim=0).topk(count, largest=False, sorted=False).indices
    column, _ = _opened(folds, fold)
    return _opened(scores, column)


def _opened(
    table: Float[Tensor, "s n w"], column: Int64[Tensor, "n c"]
) -> tuple[Int64[Tensor, "n c"], Float[Tensor, "n c"]]:
    """The c smallest numbers of each n if they lie in these columns: their places, and they."""
    count, width = column.shape[1], table.shape[2]
    inside = table.gather(2, column.expand(len(table), -1, -1)).transpose(0, 1).flatten(1)
    score, place = inside.topk(count, largest=False, sorted=False)
    return place // count * width + column.gather(1, place % count), score


def _slack(size: Tensor, slabs: Tensor) -> Tensor:
    """What rounding may have added to a squared bound, and taken from a squared distance.

    With u half a unit in the last place and L the length of the query plus that of a row: rounding
    the shortened points moves the squared bound by up to 2 u L^2, the product of e columns by up to
    (e + 2) u L^2, and a squared distance from differences by up to 4 u L^2. This is twice the sum.
    """
    return (slabs.shape[1] + 8) * torch.finfo(slabs.dtype).eps * size
