import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from offmap.numerics import bank as module
from offmap.numerics.bank import nearest, ranked, thinned
from offmap.numerics.neighbors import search


class Nearest(nn.Module):
    bank: torch.Tensor

    def __init__(self, bank, k):
        super().__init__()
        self.register_buffer("bank", bank)
        self.k = k

    def forward(self, queries):
        return nearest(queries, self.bank, k=self.k)


@pytest.fixture
def small(monkeypatch):
    """Slabs, tiles and blocks of a few rows, so that a small bank has many of them."""
    monkeypatch.setattr(module, "SLAB", 16)
    monkeypatch.setattr(module, "TILE", 100)
    monkeypatch.setattr(module, "BLOCK", 7)
    monkeypatch.setattr(module, "SPARE", 2)


def twin(queries, bank, k):
    """Float64 differences, one query at a time."""
    every = (queries[:, None].double() - bank.double()).square().sum(2).sqrt()
    return every.sort(dim=1).values[:, :k]


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 99, 161, 350])
@pytest.mark.parametrize("k", [1, 3, 40])
@pytest.mark.usefixtures("small")
def test_finds_what_the_slow_twin_finds(generator, rows, k):
    k = min(k, rows)
    bank = torch.randn(rows, 5, generator=generator)
    queries = torch.randn(20, 5, generator=generator)
    distance, index = nearest(queries, bank, k=k)
    assert torch.allclose(distance, twin(queries, bank, k), rtol=1e-6)
    there = (queries[:, None].double() - bank[index].double()).norm(dim=2)
    assert torch.allclose(distance, there, rtol=1e-6)
    assert all(len(set(row)) == k for row in index.tolist())


def test_agrees_with_faiss_and_the_certain_search(generator):
    """Over two tiles and many slabs, in their real sizes."""
    bank = torch.randn(70_000, 8, generator=generator)
    queries = torch.randn(300, 8, generator=generator)
    distance, index = nearest(queries, bank, k=10)
    other = faiss.IndexFlatL2(8)
    other.add(bank.numpy())
    squares, rows = other.search(queries.numpy(), 10)
    np.testing.assert_allclose(distance, np.sqrt(squares), rtol=1e-3)
    assert (index.numpy() == rows).mean() > 0.999
    found = search(queries, bank, k=10)
    assert torch.allclose(distance, found.distance, rtol=1e-6)
    assert (index == found.index).double().mean() > 0.9999


def test_rounding_costs_no_more_than_is_said(generator):
    """Clusters far tighter than their distance from the center: products alone cannot rank them."""
    centers = torch.randn(5, 32, generator=generator)
    bank = (centers[:, None] + 1e-4 * torch.randn(5, 400, 32, generator=generator)).flatten(0, 1)
    queries = (centers[:, None] + 1e-4 * torch.randn(5, 20, 32, generator=generator)).flatten(0, 1)
    distance, index = nearest(queries, bank, k=5)
    truth = search(queries, bank, k=5).distance
    norms = queries.square().sum(1) + bank.square().sum(1).max()
    assert (distance >= truth - 1e-7).all()
    assert (distance.square() <= truth.square() + 1e-6 * norms[:, None]).all()
    there = (queries[:, None].double() - bank[index].double()).norm(dim=2)
    assert torch.allclose(distance, there, rtol=1e-6)
    assert nearest(bank, bank, k=1)[0].max() < 1e-3


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_ties_and_copies_are_all_found(rows, k, seed):
    """On a small grid most distances tie, and rows occur twice."""
    generator = torch.Generator().manual_seed(seed)
    bank = torch.randint(0, 3, (rows, 2), generator=generator).float()
    queries = torch.randint(0, 3, (9, 2), generator=generator).float()
    k = min(k, rows)
    distance, index = nearest(queries, bank, k=k)
    assert torch.allclose(distance, twin(queries, bank, k))
    assert all(len(set(row)) == k for row in index.tolist())


def test_the_gradient_points_away_from_the_neighbor(generator):
    bank = torch.randn(50, 3, generator=generator)
    queries = torch.randn(8, 3, generator=generator).double().requires_grad_()
    distance, index = nearest(queries, bank.double(), k=2)
    (slope,) = torch.autograd.grad(distance[:, 1].sum(), queries)
    away = queries.detach() - bank.double()[index[:, 1]]
    assert torch.allclose(slope, away / away.norm(dim=1, keepdim=True))
    assert torch.autograd.gradcheck(lambda x: nearest(x, bank.double(), k=3)[0], queries)


def test_the_gradient_at_a_row_of_the_bank_is_zero():
    bank = torch.eye(3)
    queries = torch.eye(3).requires_grad_()
    (slope,) = torch.autograd.grad(nearest(queries, bank, k=1)[0].sum(), queries)
    assert torch.equal(slope, torch.zeros(3, 3))


@pytest.mark.usefixtures("small")
def test_a_query_that_is_no_number_spoils_only_itself(generator):
    """The last slab is short: what fills it up must not be taken for rows."""
    bank = torch.randn(105, 4, generator=generator)
    queries = torch.randn(6, 4, generator=generator)
    expected = nearest(queries, bank, k=14)[0]
    for bad in (torch.nan, torch.inf, -torch.inf):
        queries[2] = bad
        distance, index = nearest(queries, bank, k=14)
        assert not distance[2].isfinite().any()
        assert index.min() >= 0 and index.max() < 105
        assert torch.allclose(distance[[0, 1, 3, 4, 5]], expected[[0, 1, 3, 4, 5]])


def test_no_queries_no_neighbors(generator):
    distance, index = nearest(torch.empty(0, 4), torch.randn(10, 4, generator=generator), k=2)
    assert distance.shape == index.shape == (0, 2)


def test_exports_for_batches_of_any_size(generator):
    bank = torch.randn(2_500, 6, generator=generator)
    queries = torch.randn(9, 6, generator=generator)
    twin_module = Nearest(bank, 4)
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(twin_module, (queries[:3],), dynamic_shapes=dynamic).module()
    for size in (1, 2, 9):
        distance, index = program(queries[:size])
        assert torch.allclose(distance, nearest(queries[:size], bank, k=4)[0], rtol=1e-6)
        assert torch.equal(index, nearest(queries[:size], bank, k=4)[1])


def test_other_indexes_are_asked(generator):
    class Mine:
        def nearest(self, queries, k):
            return torch.full((len(queries), k), 2.0).double(), torch.zeros(len(queries), k).long()

    assert nearest(torch.zeros(3, 2), Mine(), k=2)[0].tolist() == [[2.0, 2.0]] * 3


@pytest.mark.parametrize("k", [0, -1, 11])
def test_refuses_a_k_out_of_range(k):
    with pytest.raises(ValueError, match=f"expected k from 1 to the 10 rows of the bank, got {k}"):
        nearest(torch.zeros(2, 3), torch.zeros(10, 3), k=k)


def test_ranks_by_differences():
    """What products far from the origin cannot do."""
    bank = torch.tensor([[1e4], [1e4 + 1], [1e4 + 3]])
    distance, index = ranked(torch.tensor([[1e4 + 2.25]]), bank, torch.tensor([[0, 1, 2]]), 2)
    assert (distance.tolist(), index.tolist()) == ([[0.75, 1.25]], [[2, 1]])


# -------------------------------------------------------------------------------------- thinned


class Rows:
    """Rows that are read in blocks alone."""

    def __init__(self, values):
        self.values, self.longest = values, 0

    def __len__(self):
        return len(self.values)

    def read(self, start, stop):
        self.longest = max(self.longest, stop - start)
        return self.values[start:stop]


def gonzalez(points, most):
    """One center at a time, in float64."""
    points = points.double() - points.double().mean(0)
    chosen = [int(points.square().sum(1).argmax())]
    reach = (points - points[chosen[0]]).norm(dim=1)
    while len(chosen) < most:
        chosen.append(int(reach.argmax()))
        reach = torch.minimum(reach, (points - points[chosen[-1]]).norm(dim=1))
    return chosen, reach.max().item()


@pytest.mark.parametrize("candidates", [1, 7, 1000])
def test_one_half_is_what_the_greedy_twin_chooses(generator, monkeypatch, candidates):
    """However many centers are chosen between two passes. The other half is drawn."""
    monkeypatch.setattr(module, "CANDIDATES", candidates)
    points = torch.randn(600, 4, generator=generator) * torch.arange(1, 5)
    rows, radius = gonzalez(points, 50)
    thin = thinned(points, 99, generator=torch.Generator().manual_seed(7))
    drawn = torch.randperm(600, generator=torch.Generator().manual_seed(7))[:49].tolist()
    assert thin.rows.tolist() == sorted({*rows, *drawn})
    assert thin.radius <= radius * (1 + 1e-5)


@pytest.mark.parametrize("pooled", [2**28, 4000])
def test_distances_err_by_the_radius_at_most(generator, monkeypatch, pooled):
    """To the nearest, and with weights to the k-th; for points in memory and out of it."""
    monkeypatch.setattr(module, "POOL_BYTES", pooled)
    points = torch.randn(1_000, 3, generator=generator)
    thin = thinned(Rows(points), 40, generator=generator)
    assert 30 < len(thin.rows) <= 40
    owner = torch.cdist(points.double(), points[thin.rows].double()).min(dim=1)
    assert thin.radius == pytest.approx(owner.values.max().item(), rel=1e-5)
    assert thin.counts.tolist() == owner.indices.bincount(minlength=len(thin.rows)).tolist()
    queries = torch.cat((points, 2 * torch.randn(500, 3, generator=generator)))
    truth = twin(queries, points, 30)
    distance, index = nearest(queries, points[thin.rows], k=len(thin.rows))
    slack = thin.radius * (1 + 1e-5)
    assert (distance[:, 0] >= truth[:, 0] - 1e-6).all()
    for k in (1, 5, 30):
        place = (thin.counts[index].cumsum(1) < k).sum(1, keepdim=True)
        gap = (distance.gather(1, place).squeeze(1) - truth[:, k - 1]).abs()
        assert gap.max() <= slack
    assert gap.max() > thin.radius / 4  # the loss is real, and not overstated by much


def test_centers_reach_all_that_a_sample_misses(generator):
    """Twelve tight groups, one point each but for the last, which is the rest."""
    groups = 10 * torch.randn(12, 5, generator=generator)
    many = groups[11] + 0.01 * torch.randn(589, 5, generator=generator)
    points = torch.cat((groups[:11], many))[torch.randperm(600, generator=generator)]
    thin = thinned(points, 24, generator=generator)
    assert thin.radius < 0.1
    assert sorted(thin.counts.tolist())[:11] == [1] * 11
    assert len(thin.rows) > 20  # most of the drawn half is in the large group


def test_blocks_are_never_held_together(generator, monkeypatch):
    monkeypatch.setattr(module, "POOL_BYTES", 4 * 3 * 100)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 3 * 64)
    rows = Rows(torch.randn(1_000, 3, generator=generator) + 1e3)
    thin = thinned(rows, 40, generator=generator)
    assert rows.longest <= 100
    assert thin.radius < 2.5 * gonzalez(rows.values, 20)[1]


def test_copies_are_not_kept_twice(generator):
    """Five places, a hundred copies of each."""
    points = torch.arange(5.0).repeat_interleave(100)[:, None]
    thin = thinned(points, 20, generator=generator)
    assert sorted(points[thin.rows].flatten().tolist()) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert (thin.counts.tolist(), thin.radius) == ([100] * 5, 0.0)


def test_few_points_stand_for_themselves(generator):
    thin = thinned(torch.arange(4.0)[:, None], 4, generator=generator)
    assert (thin.rows.tolist(), thin.counts.tolist(), thin.radius) == ([0, 1, 2, 3], [1] * 4, 0.0)


@pytest.mark.parametrize(("points", "most"), [(torch.zeros(0, 2), 3), (torch.zeros(4, 2), 1)])
def test_refuses_to_keep_none(generator, points, most):
    with pytest.raises(ValueError, match="expected most >= 2 and at least one point"):
        thinned(points, most, generator=generator)
