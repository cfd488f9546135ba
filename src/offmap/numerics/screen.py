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
CACHE = 2**19  # bounds at a time: they stay in the cache until they have been looked through
HELD = 2**24  # bounds kept at once
SAMPLE = 1024  # rows from which the axes are taken
CHUNK = 8192  # rows shortened at a time
RANGE = (1e-30, 1e37)  # of squared lengths whose sums and products float32 can hold


class Screen(NamedTuple):
    """The rows of a bank, shortened."""

    axes: Float64[Tensor, "d r"]  # orthonormal columns
    rows: Float[Tensor, "w e"]  # filled up with infinities to a multiple of `WIDTH`
    reach: Float64[Tensor, ""]  # length of the longest row

    def lowest(
        self, queries: Float[Tensor, "n d"], count: int
    ) -> tuple[Int64[Tensor, "n s"], Float64[Tensor, " n"]]:
        """The rows with the smallest bounds, and what no other row's squared distance is below.

        Args:
            queries: The points to look up.
            count: How many rows; at most `WIDTH`, and as many as there are. For a query that is no
                number they are any, perhaps beyond the last.
        """
        found = [
            self._lowest(some, count) for some in queries.split(max(1, HELD // len(self.rows)))
        ]
        rows, floor = zip(*found, strict=True)
        return torch.cat(rows), torch.cat(floor)

    def _lowest(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        short = _shortened(queries, self.axes)
        asked = functional.pad(-2 * short, (0, 1), value=1.0).to(self.rows.dtype)
        row, score = _smallest(asked, self.rows, count)
        length = torch.linalg.vector_norm(short, dim=1)
        size = (length + self.reach).square()
        floor = score.amax(dim=1) + length.square() - _slack(size, self.rows)
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
    return Screen(axes, rows, square.max().sqrt())


def _shortened(
    points: Float[Tensor, "n d"], axes: Float64[Tensor, "d r"]
) -> Float64[Tensor, "n s"]:
    points = points.double()
    along = points @ axes
    off = torch.linalg.vector_norm(points - along @ axes.T, dim=1, keepdim=True)
    return torch.cat((along, off), dim=1)


def _smallest(asked: Tensor, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The rows whose products with each query are smallest, and these."""
    step = WIDTH * max(1, CACHE // (WIDTH * max(1, len(asked))))
    parts = [(asked @ some.T).unflatten(1, (-1, WIDTH)) for some in rows.split(step)]
    lowest = parts[0].amin(dim=1)
    for part in parts[1:]:
        lowest = torch.minimum(lowest, part.amin(dim=1))
    column = lowest.topk(count, largest=False, sorted=False).indices
    opened = [part.gather(2, column[:, None].expand(-1, part.shape[1], -1)) for part in parts]
    score, place = torch.cat(opened, dim=1).flatten(1).topk(count, largest=False, sorted=False)
    return place // count * WIDTH + column.gather(1, place % count), score


def _slack(size: Tensor, rows: Tensor) -> Tensor:
    """What rounding may have added to a squared bound, and taken from a squared distance.

    With u half a unit in the last place and L the length of the query plus that of a row: rounding
    the shortened points moves the squared bound by up to 2 u L^2, the product of e columns by up to
    (e + 2) u L^2, and a squared distance from differences by up to 4 u L^2. This is twice the sum.
    """
    return (rows.shape[1] + 8) * torch.finfo(rows.dtype).eps * size
