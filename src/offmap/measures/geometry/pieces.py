"""A cloud of examples, the pieces that it falls into, and the pieces that chance makes."""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from offmap.numerics.components import (
    WITHIN,
    Dendrogram,
    Merge,
    Tree,
    cut,
    dendrogram,
    merges,
    minimum_spanning_tree,
    one_piece_gaps,
)
from offmap.numerics.duplicates import first_equal, row_digests
from offmap.numerics.neighbors import search
from offmap.run import Split

LEVEL = 0.05  # of false alarms
FEWEST = 25  # examples of a class of which anything is said
SIZE, SHARE = 5, 0.01  # a piece has so many examples, and such a share of them, or more
SIMULATED = 500  # points of a simulated cloud, at most: with more its gaps are narrower
WIDEST = 20  # dimensions of a simulated cloud, at most: with more its gaps are narrower
FAR = 2.0  # an example is isolated beyond so many times the scale of the cloud
NEIGHBORS = 10  # from which the dimension is estimated
MEMORY_SHARE = 8  # the examples may take this part of the budget, and a search as much


class Cloud(NamedTuple):
    """Different examples and how they come together as steps grow.

    `rows` [n] are rows of the split, `merges` those of two pieces of at least `least` examples.
    """

    rows: Int64[Tensor, " n"]
    points: Shaped[Tensor, "n d"]
    tree: Tree
    joined: Dendrogram
    merges: list[Merge]
    dimension: float

    @property
    def least(self) -> int:
        """Examples of a piece."""
        return _least(len(self.rows))

    @property
    def gap(self) -> float:
        """The widest gap between two pieces, in units of the scale of the sparser of them."""
        return _widest(self.merges)

    def pieces(self, edge: float) -> Int64[Tensor, " n"]:
        """Piece of each example when the gaps wider than `edge` are cut; 0 is the largest."""
        return cut(self.tree, [merge.edge for merge in self.merges if merge.ratio > edge])

    def isolated(self) -> Bool[Tensor, " n"]:
        """Whether no chain of steps up to FAR times the scale leads to a piece."""
        reach = FAR * self.tree.lengths.quantile(WITHIN).item()
        piece = cut(self.tree, (self.tree.lengths > reach).nonzero().flatten().tolist())
        return piece.bincount()[piece] < self.least


def cloud_of(rows: Int64[Tensor, " n"], points: Shaped[Tensor, "n d"], memory: int) -> Cloud:
    """The cloud of points [n d], which are all different, found at these rows.

    A search may take a part of the memory, which is the whole budget in bytes.
    """
    share = memory // MEMORY_SHARE
    tree = minimum_spanning_tree(points, memory=share)
    everyone = torch.arange(len(points), device=points.device)
    k = min(NEIGHBORS, len(points) - 1)
    distance = search(points, points, k=k, exclude=everyone, memory=share).distance.cpu()
    spread = (distance[:, -1:] / distance[:, :-1]).log().mean().item()  # 1 / d, on average
    joined = dendrogram(tree)
    found = merges(joined, _least(len(rows)))
    return Cloud(rows, points, tree, joined, found, 1 / max(spread, 1 / WIDEST))


def class_clouds(split: Split, whole: Cloud) -> Iterator[tuple[str, Cloud]]:
    """The examples of each class that has enough of them, by the name of the class."""
    targets = split.known_targets
    if targets is None or targets.is_floating_point() or targets.ndim != 1:
        return
    own = targets[whole.rows]
    for number in own.unique().tolist():
        mine = own == number
        if int(mine.sum()) >= FEWEST:
            known = split.class_names
            name = known[number] if known and 0 <= number < len(known) else number
            yield f"class {name}", cloud_of(whole.rows[mine], whole.points[mine], split.memory)


def different_rows(split: Split, examples: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
    """Rows of a random sample, ascending, without copies of an earlier one."""
    most = max(2, split.memory // MEMORY_SHARE // max(1, split.table.row_bytes))
    rows = torch.randperm(len(split), generator=generator)[: min(examples, most)].sort().values
    first = first_equal(row_digests([split.take(rows).inputs]))
    return rows[first == torch.arange(len(rows))]


class Chance(NamedTuple):
    """Clouds that are one piece: the merges within each, and how many points they have."""

    found: list[list[Merge]]
    n: int
    dimension: int

    def edge(self, family: int = 1) -> float:
        """What the widest gap of any of `family` clouds exceeds with a chance of LEVEL at most."""
        place = int(LEVEL * (len(self.found) + 1) / family)  # counted from the widest, which is 1
        return sorted(_widest(found) for found in self.found)[-place]

    def beyond(self, gap: float) -> int:
        """How many of the clouds have so wide a gap."""
        return sum(_widest(found) >= gap for found in self.found)

    def share_off(self) -> float:
        """Mean share of the points of a cloud that lie behind a gap wider than `edge()`."""
        edge = self.edge()
        off = [sum(m.sizes[1] for m in found if m.ratio > edge) for found in self.found]
        return sum(off) / len(off) / self.n


def chance(clouds: list[Cloud], simulations: int, generator: torch.Generator) -> Chance:
    """What chance makes of clouds of one piece, of like size and dimension.

    Of several clouds, the fewest points and dimensions: they have the widest gaps. There are at
    least as many simulations as `Chance.edge` needs for that many clouds.
    """
    dimension = min(WIDEST, max(1, round(min(cloud.dimension for cloud in clouds))))
    n = min(SIMULATED, *(len(cloud.rows) for cloud in clouds))
    simulations = max(simulations, ceil(len(clouds) / LEVEL))
    found = one_piece_gaps(n, dimension, _least(n), simulations=simulations, generator=generator)
    return Chance(found, n, dimension)


def _least(n: int) -> int:
    return max(SIZE, ceil(SHARE * n))


def _widest(found: list[Merge]) -> float:
    return max((merge.ratio for merge in found), default=1.0)
