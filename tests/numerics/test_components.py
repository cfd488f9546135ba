"""Spanning trees against scipy's, and pieces against brute force."""

import math

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import minimum_spanning_tree as sparse_tree
from scipy.spatial.distance import cdist

from offmap.numerics.components import (
    Tree,
    cut,
    dendrogram,
    growth,
    merges,
    minimum_spanning_tree,
    one_piece_gaps,
)


def blobs(generator, sizes, d, apart):
    """Normal clouds, each `apart` from the one before."""
    clouds = [torch.randn(n, d, generator=generator, dtype=torch.double) for n in sizes]
    return torch.cat([cloud + apart * place for place, cloud in enumerate(clouds)])


def check_tree(points, tree):
    """It spans, its lengths are distances of its pairs, and none is shorter in total."""
    n = len(points)
    a, b = points.double()[tree.pairs.T]
    torch.testing.assert_close(tree.lengths, (a - b).norm(dim=1))
    assert bool((tree.lengths.diff() >= 0).all())
    assert (
        int(cut(tree, []).max()) == 0
    )  # one piece: n - 1 edges that join n points close no circle
    heights = linkage(points.double().numpy().reshape(n, -1), "single")[:, 2]
    np.testing.assert_allclose(tree.lengths.numpy(), heights, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("n", "d"), [(2, 1), (7, 2), (300, 1), (300, 3), (400, 40)])
def test_tree_is_that_of_the_full_matrix(generator, n, d):
    points = torch.randn(n, d, generator=generator, dtype=torch.double)
    tree = minimum_spanning_tree(points)
    edges = sparse_tree(cdist(points, points)).tocoo()
    expected = {frozenset(pair) for pair in zip(edges.row, edges.col, strict=True)}
    assert {frozenset(pair) for pair in tree.pairs.tolist()} == expected
    check_tree(points, tree)


@pytest.mark.parametrize("apart", [0.5, 5.0, 1e4])
def test_tree_across_gaps(generator, apart):
    """No point of a cloud lists one of another: lists are searched anew, outside."""
    check_tree(
        points := blobs(generator, (150, 100, 60, 15), 3, apart), minimum_spanning_tree(points)
    )


@pytest.mark.parametrize("seed", range(8))
def test_tree_of_copies_and_ties(seed):
    """Points of a small lattice, many of them more often than a list is long."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(0, 3 + seed, (120, 2), generator=generator)
    check_tree(points, minimum_spanning_tree(points))


def test_tree_in_little_memory_is_the_same(generator):
    points = blobs(generator, (120, 90), 4, 20.0).float()
    tree, small = minimum_spanning_tree(points), minimum_spanning_tree(points, memory=2**17)
    assert torch.equal(tree.pairs, small.pairs)
    assert torch.equal(tree.lengths, small.lengths)


def test_tree_of_one_point_of_equal_points_and_of_none():
    assert minimum_spanning_tree(torch.zeros(1, 2)).pairs.shape == (0, 2)
    assert minimum_spanning_tree(torch.zeros(40, 2)).lengths.sum() == 0
    with pytest.raises(ValueError, match="at least one point, got none"):
        minimum_spanning_tree(torch.zeros(0, 2))
    with pytest.raises(ValueError, match="finite"):
        minimum_spanning_tree(torch.tensor([[0.0], [1.0], [torch.nan]]))


def test_cut_finds_the_pieces_largest_first(generator):
    points = blobs(generator, (20, 60, 40), 2, 50.0)
    tree = minimum_spanning_tree(points)
    expected = torch.tensor([2] * 20 + [0] * 60 + [1] * 40)
    assert torch.equal(cut(tree, [117, 118]), expected)
    scale = tree.lengths[80].item()
    ours = cut(tree, range(81, 119))
    theirs = fcluster(linkage(points.numpy(), "single"), scale, "distance")
    pairs = set(zip(ours.tolist(), theirs.tolist(), strict=True))
    assert len(pairs) == len(set(ours.tolist())) == len(set(theirs))
    assert bool((ours.bincount().diff() <= 0).all())


def test_dendrogram_is_single_linkage(generator):
    points = torch.randn(80, 3, generator=generator, dtype=torch.double)
    joined = dendrogram(minimum_spanning_tree(points)).joined.sort(dim=1).values
    expected = linkage(points.numpy(), "single")[:, :2].astype(int)
    assert joined.tolist() == np.sort(expected, axis=1).tolist()


def test_dendrogram_refuses_a_circle():
    pairs = torch.tensor([[0, 1], [1, 2], [2, 0]])
    with pytest.raises(ValueError, match="expected a tree, got a circle at edge 2"):
        dendrogram(Tree(pairs, torch.ones(3, dtype=torch.double)))


def test_merges_and_growth_against_the_definition(generator):
    points = blobs(generator, (30, 25, 20), 2, 2.5)
    tree = minimum_spanning_tree(points)
    joined, least, n = dendrogram(tree), 5, 75
    expected, largest, within = [], [], []
    for edge in range(n - 1):
        piece = cut(tree, range(edge, n - 1))  # below this edge
        sides = []
        for end in tree.pairs[edge]:
            mine = piece == piece[end]
            inside = [tree.lengths[e].item() for e in range(edge) if bool(mine[tree.pairs[e, 0]])]
            sides.append((int(mine.sum()), sorted(inside)))
        (big, more), (small, fewer) = sorted(sides, reverse=True, key=lambda side: side[0])
        if small >= least:
            scale = max(np.quantile(side, 0.95, method="inverted_cdf") for side in (more, fewer))
            length = tree.lengths[edge].item()
            expected.append((edge, length, (big, small), length / scale))
        sizes = cut(tree, range(edge + 1, n - 1)).bincount()
        largest.append(int(sizes.max()))
        within.append(int(sizes[sizes >= least].sum()))
    assert len(expected) > 3
    assert [tuple(merge) for merge in merges(joined, least)] == expected
    ours = growth(joined, least)
    assert (ours[0].tolist(), ours[1].tolist()) == (largest, within)
    with pytest.raises(ValueError, match="least >= 2, got 1"):
        merges(joined, 1)


def test_ratio_of_two_bundles_of_copies_is_infinite():
    points = torch.tensor([0.0, 1.0]).repeat_interleave(6)[:, None]
    (merge,) = merges(dendrogram(minimum_spanning_tree(points)), 5)
    assert merge.ratio == math.inf
    assert merge.sizes == (6, 6)


def test_simulated_clouds_are_exponential_ones():
    found = one_piece_gaps(120, 2, 5, simulations=3, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(7)
    for one in found:
        cloud = -torch.rand(120, 2, generator=generator, dtype=torch.double).log()
        twin = merges(dendrogram(minimum_spanning_tree(cloud)), 5)
        assert [merge.sizes for merge in one] == [merge.sizes for merge in twin]
        np.testing.assert_allclose([m.ratio for m in one], [m.ratio for m in twin])
