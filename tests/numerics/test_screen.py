import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap.numerics import screen as module
from offmap.numerics.bank import SCREENED, Tiles, behind, lengths, worthwhile
from offmap.numerics.screen import COLUMNS, screen

FLAT = 5  # dimensions that a bank fills


def flat(generator, rows, columns=40, noise=0.01):
    """Rows near to a subspace of few dimensions."""
    maps = torch.randn(FLAT, columns, generator=generator)
    along = torch.randn(rows, FLAT, generator=generator) @ maps
    return along + noise * torch.randn(rows, columns, generator=generator)


def squares(queries, bank):
    """Float64 differences."""
    return (queries[:, None].double() - bank.double()).square().sum(2)


@pytest.fixture
def small(monkeypatch):
    """Slabs of a few rows, so that a small bank has many, and few of them at a time."""
    monkeypatch.setattr(module, "WIDTH", 140)
    monkeypatch.setattr(module, "FOLDS", 2)
    monkeypatch.setattr(module, "CACHE", 5000)
    monkeypatch.setattr(module, "HELD", 9000)
    monkeypatch.setattr(module, "TOGETHER", 5)
    monkeypatch.setattr(module, "CHUNK", 70)
    monkeypatch.setattr(module, "SAMPLE", 200)


def both(queries, bank, k):
    """Through a screen and without one, and how many the screen proves."""
    screened = Tiles(bank, lengths(bank), screen(bank)).nearest(queries, k)
    proven = behind(queries, bank, screen(bank), k)[2]
    return screened, Tiles(bank, lengths(bank)).nearest(queries, k), proven.double().mean().item()


@pytest.mark.usefixtures("small")
@given(st.integers(0, 2**32 - 1), st.floats(-8, 8), st.floats(-6, 3), st.floats(0, 100))
@settings(deadline=None, max_examples=60)
def test_no_row_left_out_is_nearer_than_the_floor(seed, size, noise, away):
    """Whatever the scale, how flat the rows lie, and how far from the origin: rounding included."""
    generator = torch.Generator().manual_seed(seed)
    bank = 10**size * (flat(generator, 300, noise=10**noise) + away)
    queries = torch.cat((
        bank[:20] * (1 + 1e-4 * torch.randn(20, 40, generator=generator)), bank[:5],
        10**size * 30 * torch.randn(10, 40, generator=generator),
    ))  # fmt: skip
    rows, floor = screen(bank).lowest(queries, 30)
    assert rows.max() < 300
    assert all(len(set(row)) == 30 for row in rows.tolist())
    left = squares(queries, bank).scatter(1, rows, torch.inf).amin(dim=1)
    assert (floor <= left).all()


@pytest.mark.usefixtures("small")
def test_the_rows_are_those_of_the_smallest_bounds(generator):
    """The twin: shortened by the projection itself, in float64, all bounds sorted."""
    bank, queries = flat(generator, 333, noise=0.5), flat(generator, 40, noise=0.5)
    made = screen(bank)
    axes = made.axes
    assert torch.allclose(axes.T @ axes, torch.eye(COLUMNS - 2).double())

    def short(points):
        points = points.double()
        off = points - points @ axes @ axes.T
        return torch.cat((points @ axes, off.norm(dim=1, keepdim=True)), dim=1)

    bounds = squares(short(queries), short(bank))
    assert (bounds <= squares(queries, bank) * (1 + 1e-12)).all()
    rows, floor = made.lowest(queries, 20)
    twin = bounds.sort(dim=1)
    assert torch.equal(rows.sort(dim=1).values, twin.indices[:, :20].sort(dim=1).values)
    last = twin.values[:, 19]
    assert (floor <= last).all()
    assert (last - floor).max() < 1e-4 * last.max()


@pytest.mark.parametrize("columns", [40, 400])
def test_the_axes_are_those_along_which_rows_are_longest(generator, columns):
    """With more rows than columns and with fewer: the subspace of the rows, nearly all of it."""
    bank = flat(generator, 300, columns, noise=1e-3)
    made = screen(bank).axes
    off = bank.double() - bank.double() @ made @ made.T
    assert made.shape == (columns, COLUMNS - 2)
    assert off.norm() < 1e-2 * bank.double().norm()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("k", [1, 5, SCREENED // 2, SCREENED // 2 + 1])
def test_finds_what_the_search_of_all_rows_finds(generator, k):
    """To the last bit, from mostly proven to never."""
    shares = []
    for noise in (0.01, 0.3, 1.0, 3.0):
        bank, queries = flat(generator, 500, noise=noise), flat(generator, 60, noise=noise)
        (distance, index), (other, rows), proven = both(queries, bank, k)
        assert torch.equal(distance, other)
        assert torch.equal(index, rows)
        shares.append(proven)
    if k == 5:
        assert shares[0] == 1 and shares[-1] < 0.5


@pytest.mark.usefixtures("small")
def test_rows_that_only_look_near_do_not_hide_the_nearest(generator):
    """Hundreds of rows with one and the same bound of 0, of which one is the query itself."""
    bank = flat(generator, 300, 240, noise=0.0)
    axes = screen(bank).axes
    aside = torch.eye(240, dtype=torch.double)[:200]
    aside = aside - aside @ axes @ axes.T
    crowd = 3 * (aside / aside.norm(dim=1, keepdim=True)).float()
    bank = torch.cat((bank, crowd))
    (distance, index), (other, rows), proven = both(crowd, bank, 3)
    assert proven == 0
    assert torch.equal(index[:, 0], 300 + torch.arange(200))
    assert torch.equal(distance, other) and torch.equal(index, rows)


@pytest.mark.usefixtures("small")
def test_nearly_tied_rows_are_told_apart(generator):
    """Rows around each query at distances that differ in the sixth place."""
    queries = flat(generator, 8)
    aside = torch.randn(8, 60, 40, generator=generator)
    reach = 0.1 * (1 + 1e-6 * torch.arange(60)[torch.randperm(60, generator=generator)])
    near = queries[:, None] + reach[:, None] * aside / aside.norm(dim=2, keepdim=True)
    bank = torch.cat((flat(generator, 200), near.flatten(0, 1)))
    distance, index = Tiles(bank, lengths(bank), screen(bank)).nearest(queries, 5)
    truth = squares(queries, bank).sqrt().sort(dim=1).values[:, :5]
    assert torch.allclose(distance, truth, rtol=3e-7)
    there = squares(queries, bank).sqrt().gather(1, index)
    assert torch.allclose(there, truth, rtol=3e-7)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 3e37, 1e-25])
def test_what_float32_cannot_square_is_proven_by_nothing(generator, bad):
    """And spoils only itself."""
    bank, queries = flat(generator, 300), flat(generator, 6)
    alone = behind(queries, bank, screen(bank), 3)
    queries[2] = bad
    distance, index, proven = behind(queries, bank, screen(bank), 3)
    others = [0, 1, 3, 4, 5]
    assert torch.allclose(distance[others], alone[0][others], rtol=1e-6)
    assert torch.equal(index[others], alone[1][others])
    assert bool(proven[2]) is (bad == 1e-25)  # nearly the origin: no harm among rows of size 1
    tiny = 1e-25 * bank
    assert not behind(1e-25 * queries, tiny, screen(tiny), 3)[2].any()


@pytest.mark.usefixtures("small")
def test_slopes_are_those_of_the_search_of_all_rows(generator):
    bank = flat(generator, 400, noise=0.8)
    queries = flat(generator, 50, noise=0.8).requires_grad_()
    (distance, _), (other, _), proven = both(queries, bank, 4)
    assert 0.2 < proven < 0.8
    (slope,) = torch.autograd.grad(distance.sum(), queries)
    (truth,) = torch.autograd.grad(other.sum(), queries)
    assert torch.allclose(slope, truth, rtol=1e-5, atol=1e-6)


def test_is_made_where_it_proves_much(generator):
    """Real sizes. Not for few rows or columns, nor for rows that fill all dimensions."""
    bank = flat(generator, 9000)
    made = worthwhile(bank)
    assert made is not None
    assert worthwhile(bank[:8000]) is None
    assert worthwhile(bank[:, :31]) is None
    assert worthwhile(torch.randn(9000, 40, generator=generator)) is None
    queries = flat(generator, 300)
    distance, index = Tiles(bank, lengths(bank), made).nearest(queries, 5)
    other, rows = Tiles(bank, lengths(bank)).nearest(queries, 5)
    assert torch.equal(distance, other) and torch.equal(index, rows)


def test_no_queries(generator):
    bank = flat(generator, 100)
    rows, floor = screen(bank).lowest(bank[:0], 10)
    assert rows.shape == (0, 10) and floor.shape == (0,)
    assert Tiles(bank, lengths(bank), screen(bank)).nearest(bank[:0], 3)[0].shape == (0, 3)


@pytest.mark.usefixtures("small")
def test_of_rows_too_short_for_float32_to_square_nothing_is_proven(generator):
    bank, queries = 1e-21 * flat(generator, 300), 1e-21 * flat(generator, 6)
    (distance, index), (other, rows), proven = both(queries, bank, 3)
    assert proven == 0
    assert torch.equal(distance, other) and torch.equal(index, rows)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", [1e18, 1e19, 1e20])
def test_of_rows_too_long_for_float32_to_square_nothing_is_proven(generator, size):
    bank = size * flat(generator, 300)
    assert not behind(bank[:6], bank, screen(bank), 3)[2].any()
