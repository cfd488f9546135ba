"""The pieces of a cloud of points: its minimum spanning tree, and where that tree is torn.

Two points are in one piece at scale eps if steps no longer than eps lead from one to the other. The
scales at which pieces merge are the lengths of the edges of the minimum spanning tree: the deaths
of persistent homology in dimension zero, and the heights of single linkage.

A gap is told from the edge of a cloud by what lies on either side of it. Far out points are sparse,
and long edges join them to the rest one at a time; across a gap a long edge joins two pieces of
some size, each of which holds together at a much smaller scale. So a merge of two pieces is rated
by its height in units of the sparser side: of the length that 95 % of the edges within it do not
exceed. In a cloud of one piece the largest of these ratios hardly depends on the density, and falls
with the number of points and with the dimension: it can be simulated.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64, Shaped
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from offmap.numerics.neighbors import search

__all__ = [
    "WITHIN",
    "Dendrogram",
    "Merge",
    "Tree",
    "cut",
    "dendrogram",
    "growth",
    "merges",
    "minimum_spanning_tree",
    "one_piece_gaps",
]

LISTED = 10  # neighbors looked up at once
MEMORY = 512 * 2**20
WITHIN = 0.95  # of the edges of a piece do not exceed its scale


class Tree(NamedTuple):
    """Edges of a tree over n points, shortest first."""

    pairs: Int64[Tensor, "edges 2"]
    lengths: Float64[Tensor, " edges"]


class Merge(NamedTuple):
    """Two pieces become one as the scale grows.

    `edge` is the edge of the tree that joins them, `sizes` their numbers of points, larger first,
    and `ratio` the length of the edge over the scale of the sparser of them.
    """

    edge: int
    length: float
    sizes: tuple[int, int]
    ratio: float


# -------------------------------------------------------------------------------------- the tree


def minimum_spanning_tree(points: Shaped[Tensor, "n d"], *, memory: int = MEMORY) -> Tree:
    """The tree over all points whose edges are shortest in total, in the Euclidean norm; exact.

    Boruvka's algorithm on lists of nearest neighbors. The shortest edge that leaves a piece is
    known where each of its points either lists a neighbor outside, or lists only nearer ones than
    the best edge found: such pieces are merged along that edge. Where no piece is so certain, the
    points in doubt of the piece that has fewest are given new lists, searched outside the piece.
    Where several trees are shortest, it is one of them; the lengths are the same in all.

    Args:
        points: Distinct or not; any real type.
        memory: Bytes that a search may hold beside the points.

    Raises:
        ValueError: If there are no points, or some are not finite.
    """
    n = len(points)
    if n < 1:
        raise ValueError("expected at least one point, got none")
    if n == 1:
        return Tree(torch.empty(0, 2, dtype=torch.int64), torch.empty(0, dtype=torch.float64))
    everyone = torch.arange(n, device=points.device)
    k = min(LISTED, n - 1)
    found = search(points, points, k=k, exclude=everyone, memory=memory)
    distance, index = found.distance.cpu(), found.index.cpu()
    label = torch.arange(n)
    pairs: list[tuple[int, int]] = []
    lengths: list[float] = []
    while len(lengths) < n - 1:
        nearest, place, doubt = _edges(distance, index, label)
        certain = torch.ones(n, dtype=torch.bool)  # by the label of a piece
        certain[label[doubt]] = False
        rows = _shortest(nearest, label)
        rows = rows[certain[label[rows]]]
        if len(rows):
            _join(rows, index[rows, place[rows]], nearest[rows], label, pairs, lengths)
            continue
        least = int(label[doubt].bincount(minlength=n).where(~certain, n + 1).argmin())
        rows = (doubt & (label == least)).nonzero().flatten()
        outside = (label != least).nonzero().flatten()
        found = search(
            points[rows.to(points.device)],
            _Rows(points, outside.to(points.device)),
            k=min(k, len(outside)),
            memory=memory,
        )
        distance[rows, : found.distance.shape[1]] = found.distance.cpu()
        index[rows, : found.index.shape[1]] = outside[found.index.cpu()]
        distance[rows, found.distance.shape[1] :] = torch.inf  # nobody else is outside
    order = torch.tensor(lengths, dtype=torch.float64).argsort(stable=True)
    return Tree(torch.tensor(pairs)[order], torch.tensor(lengths, dtype=torch.float64)[order])


class _Rows:
    """Some of the points, gathered a block at a time."""

    def __init__(self, points: Tensor, rows: Int64[Tensor, " m"]) -> None:
        self.points, self.rows = points, rows

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> Tensor:
        """Points start, ..., stop - 1."""
        return self.points[self.rows[start:stop]]


def _edges(
    distance: Float64[Tensor, "n k"], index: Int64[Tensor, "n k"], label: Int64[Tensor, " n"]
) -> tuple[Float64[Tensor, " n"], Int64[Tensor, " n"], Tensor]:
    """Distance to the nearest listed point outside, its place, and whether a nearer is possible."""
    outside = label[index] != label[:, None]
    place = outside.int().argmax(dim=1)
    nearest = distance.gather(1, place[:, None]).squeeze(1)
    nearest[~outside.any(dim=1)] = torch.inf
    best = torch.full_like(nearest, torch.inf).scatter_reduce(0, label, nearest, "amin")
    return nearest, place, (nearest == torch.inf) & (distance[:, -1] < best[label])


def _shortest(nearest: Float64[Tensor, " n"], label: Int64[Tensor, " n"]) -> Int64[Tensor, " c"]:
    """For each piece, the point from which the shortest listed edge leaves it, shortest first."""
    order = nearest.argsort(stable=True)
    first = torch.full_like(label, len(label))
    first.scatter_reduce_(0, label[order], torch.arange(len(label)), "amin")
    return order[first[first < len(label)].sort().values]


def _join(
    rows: Int64[Tensor, " c"],
    others: Int64[Tensor, " c"],
    lengths: Float64[Tensor, " c"],
    label: Int64[Tensor, " n"],
    tree: list[tuple[int, int]],
    heights: list[float],
) -> None:
    """Adds edges to the tree unless they close a circle, and relabels the pieces in place."""
    parent = list(range(len(label)))
    sides = zip(label[rows].tolist(), label[others].tolist(), strict=True)
    chosen = zip(sides, rows.tolist(), others.tolist(), lengths.tolist(), strict=True)
    for (one, other), row, target, length in chosen:
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        while parent[other] != other:
            parent[other] = other = parent[parent[other]]
        if one != other:
            parent[other] = one
            tree.append((row, target))
            heights.append(length)
    root = torch.tensor(parent)
    while bool((root[root] != root).any()):
        root = root[root]
    label.copy_(root[label])


# ------------------------------------------------------------------------------------- its pieces


class Dendrogram(NamedTuple):
    """How n points come together: row r joins two pieces into piece n + r, at a growing length.

    Pieces 0, ..., n - 1 are the points; the rows are the edges of the tree.
    """

    joined: Int64[Tensor, "edges 2"]
    lengths: Float64[Tensor, " edges"]


def dendrogram(tree: Tree) -> Dendrogram:
    """The pieces that each edge of a tree joins (single linkage).

    Raises:
        ValueError: If the edges close a circle.
    """
    n = len(tree.lengths) + 1
    parent = list(range(2 * n - 1))
    joined = []
    for edge, (a, b) in enumerate(tree.pairs.tolist()):
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        while parent[b] != b:
            parent[b] = b = parent[parent[b]]
        if a == b:
            raise ValueError(f"expected a tree, got a circle at edge {edge}")
        parent[a] = parent[b] = n + edge
        joined.append((a, b))
    return Dendrogram(torch.tensor(joined, dtype=torch.int64).view(-1, 2), tree.lengths)


def cut(tree: Tree, edges: Sequence[int]) -> Int64[Tensor, " n"]:
    """The piece of each point once some edges of the tree are cut; 0 is the largest.

    Args:
        tree: Over n points.
        edges: Positions of the edges to cut.
    """
    n = len(tree.lengths) + 1
    kept = torch.ones(n - 1, dtype=torch.bool)
    kept[list(edges)] = False
    a, b = tree.pairs[kept].T.numpy()
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(n, n))
    piece = torch.from_numpy(connected_components(graph, directed=False)[1]).long()
    order = piece.bincount().argsort(descending=True, stable=True)
    return order.argsort()[piece]


def merges(pieces: Dendrogram, least: int) -> list[Merge]:
    """Merges of two pieces of at least `least` points each, by growing length.

    Raises:
        ValueError: If least < 2: a single point has no scale.
    """
    if least < 2:
        raise ValueError(f"expected least >= 2, got {least}")
    n = len(pieces.lengths) + 1
    within: list[list[float]] = [[] for _ in range(n)]  # lengths of the edges of each piece
    found = []
    rows = zip(pieces.joined.tolist(), pieces.lengths.tolist(), strict=True)
    for edge, ((a, b), length) in enumerate(rows):
        more, fewer = sorted((within[a], within[b]), key=len, reverse=True)
        if len(fewer) + 1 >= least:
            scale = max(_scale(more), _scale(fewer))
            ratio = length / scale if scale else math.inf if length else 1.0
            found.append(Merge(edge, length, (len(more) + 1, len(fewer) + 1), ratio))
        more += fewer  # taken over: the two pieces are gone
        more.append(length)
        within.append(more)
    return found


def _scale(lengths: list[float]) -> float:
    """What `WITHIN` of the lengths do not exceed."""
    return sorted(lengths)[math.ceil(WITHIN * len(lengths)) - 1]


def growth(
    pieces: Dendrogram, least: int
) -> tuple[Int64[Tensor, " edges"], Int64[Tensor, " edges"]]:
    """Points in the largest piece, and in pieces of at least `least`, up to each edge's length."""
    size = [1] * (len(pieces.lengths) + 1)
    largest, within = [1], [0]
    for a, b in pieces.joined.tolist():
        both = size[a] + size[b]
        new = both * (both >= least) - size[a] * (size[a] >= least) - size[b] * (size[b] >= least)
        size.append(both)
        largest.append(max(largest[-1], both))
        within.append(within[-1] + new)
    return torch.tensor(largest[1:]), torch.tensor(within[1:])


def one_piece_gaps(
    n: int, dimension: int, least: int, *, simulations: int, generator: torch.Generator
) -> list[list[Merge]]:
    """Merges of clouds that are one piece, however uneven: what chance makes of them.

    Each cloud has independent exponential coordinates: a density that falls by orders of magnitude
    towards the far end and breaks off at the near one. Uniform and normal clouds, with or without
    a boundary, have smaller ratios.

    Args:
        n: Points in a cloud.
        dimension: Of the cloud.
        least: Points in a piece, at least.
        simulations: How many clouds.
        generator: Source of the points.
    """
    found = []
    for _ in range(simulations):
        cloud = torch.rand(n, dimension, dtype=torch.float64, generator=generator).log().neg()
        rows = torch.from_numpy(linkage(cloud.numpy(), "single"))  # two pieces, length, size
        found.append(merges(Dendrogram(rows[:, :2].long(), rows[:, 2]), least))
    return found
