"""Bad input, empty input, extreme scales, and devices' and types' ways."""

import pytest
import torch

from offmap.numerics.hull import Membership, membership


def draw(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)


def finite(found: Membership):
    for name in ("distance_low", "distance_high", "normal", "margin", "weights", "residual"):
        assert getattr(found, name).isfinite().all(), name


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_refused(value):
    points, queries = draw(50, 3), draw(7, 3)
    points[31, 1] = value
    with pytest.raises(ValueError, match=f"finite values, got {value} in row 31 of the points"):
        membership(points, queries)
    points[31, 1], queries[4, 2] = 0, value
    with pytest.raises(ValueError, match=f"finite values, got {value} in row 4 of the queries"):
        membership(points, queries)


def test_settings_out_of_range_are_refused():
    points = draw(5, 2)
    with pytest.raises(ValueError, match="expected 0 <= tolerance < 1, got -1"):
        membership(points, points, tolerance=-1.0)
    with pytest.raises(ValueError, match="expected 0 < gap <= 1, got 0"):
        membership(points, points, gap=0.0)
    with pytest.raises(ValueError, match="expected at least one point, got none"):
        membership(points[:0], points)
    with pytest.raises(ValueError, match="5 rows of 3 values from the points, got 5 of 2"):
        membership(points, draw(4, 3))
    with pytest.raises(ValueError, match="expected rows of real values"):
        membership(points, points.to(torch.complex128))
    with pytest.raises(ValueError, match="expected rows of real values"):
        membership(points[:, :0], points[:, :0])


class Short:
    """Blocks that hold back a row."""

    def __len__(self):
        return 10

    def read(self, start, stop):
        return torch.zeros(stop - start - (stop == 10), 3)


def test_blocks_of_the_wrong_size_are_refused():
    with pytest.raises(ValueError, match="10 rows of 3 values from the points, got 9 of 3"):
        membership(Short(), draw(4, 3))


def test_no_queries():
    found = membership(draw(20, 3), draw(0, 3))
    assert found.inside.shape == (0,) and found.normal.shape == (0, 3)
    assert found.weights.shape == found.rows.shape == (0, 1)


def test_one_point():
    point = torch.tensor([[0.1, 0.2, 0.3]])
    queries = torch.cat((point, point + 0.1, point.nextafter(torch.ones(()))))
    found = membership(point, queries)
    assert found.rank == 0
    assert found.inside.tolist() == [True, False, False]
    assert found.rows.tolist() == [[0]] * 3 and found.weights.tolist() == [[1.0]] * 3
    truth = (queries.double() - point.double()).norm(dim=1)
    assert (found.distance_low <= truth).all() and (truth <= found.distance_high).all()
    assert (found.distance_low[1:] > 0.99 * truth[1:]).all()
    finite(found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_all_points_equal(dtype):
    points = torch.tensor([[7, -3, 1000003]]).to(dtype).expand(40, 3)
    queries = torch.cat((points[:2], points[:1] + 1))
    found = membership(points, queries)
    assert found.rank == 0 and found.inside.tolist() == [True, True, False]
    assert found.distance_low[2].item() == pytest.approx(3**0.5, rel=1e-5)
    finite(found)


def test_fewer_points_than_dimensions():
    points = draw(4, 30)
    middle = points.mean(0, keepdim=True)
    found = membership(points, torch.cat((middle, middle + 1e-3, points)))
    assert found.rank == 3
    assert found.inside.tolist() == [True, False, True, True, True, True]
    finite(found)


def test_constant_columns():
    points, queries = draw(200, 5), 0.5 * draw(50, 5, seed=1)
    points[:, 2] = queries[:, 2] = 0.1
    found = membership(points, queries)
    other = membership(points[:, [0, 1, 3, 4]], queries[:, [0, 1, 3, 4]])
    assert found.rank == 4 and found.inside.tolist() == other.inside.tolist()
    assert 5 < found.inside.sum() < 45 or found.inside.all()
    queries[:, 2] += 1e-4
    off = membership(points, queries)
    assert not off.inside.any()
    assert (off.distance_low > 0.98e-4).all() and (off.distance_low <= 1e-4).all()
    finite(off)


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e15, 1e120])
def test_far_queries(factor):
    points, queries = draw(100, 6), draw(20, 6, seed=1)
    queries = factor * torch.nn.functional.normalize(queries, dim=1)
    found = membership(points, queries, gap=0.1)
    assert not found.inside.any() and not found.boundary.any()
    assert ((found.distance_high / factor - 1).abs() < 0.01).all()
    assert (found.distance_low > 0.9 * found.distance_high).all()
    finite(found)


@pytest.mark.parametrize("scale", [1e-290, 1e-150, 1e150, 1e290])
def test_scale_is_no_matter(scale):
    points, queries = draw(100, 4), draw(50, 4, seed=1)
    found, moved = membership(points, queries), membership(points * scale, queries * scale)
    assert moved.inside.tolist() == found.inside.tolist()
    torch.testing.assert_close(moved.margin / scale, found.margin, rtol=1e-6, atol=1e-9)
    finite(moved)


def test_a_far_center_costs_no_side():
    points, queries = draw(100, 4, dtype=torch.float32), draw(50, 4, seed=1, dtype=torch.float32)
    far = [part.double() + 2.0**20 for part in (points, queries)]
    found = membership(*far)
    near = membership(*[part - 2.0**20 for part in far])
    assert found.inside.tolist() == near.inside.tolist()


def test_rows_of_any_shape_and_order_in_memory():
    points, queries = draw(60, 2, 3), 0.7 * draw(20, 2, 3, seed=1)
    found = membership(points.flatten(1), queries.flatten(1))
    for one, other in (
        (points, queries),
        (points.permute(2, 1, 0).contiguous().permute(2, 1, 0), queries[:, None]),
    ):
        assert membership(one, other).inside.tolist() == found.inside.tolist()


def test_nothing_is_changed_and_nothing_asks_for_gradients():
    points, queries = draw(50, 3), draw(20, 3, seed=1)
    copies = points.clone(), queries.clone()
    points.requires_grad_()
    queries.requires_grad_()
    state = torch.get_rng_state()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = membership(points, queries, generator=torch.Generator())
    assert found.inside.tolist() == membership(*copies).inside.tolist()
    assert not found.margin.requires_grad and points.grad is None
    assert torch.equal(points, copies[0]) and torch.equal(queries, copies[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_call_gives_the_same_bits():
    points, queries = draw(500, 8), draw(100, 8, seed=1)
    one, other = membership(points, queries, gap=0.1), membership(points, queries, gap=0.1)
    for name in ("inside", "boundary", "normal", "margin", "weights", "rows", "residual"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_screening_ends_when_nothing_is_open():
    """Few queries, far outside: the first look decides them all, and nothing is left to look at."""
    points = draw(300, 600, dtype=torch.float32)
    for count in (1, 3, 30):
        found = membership(points, 50 + draw(count, 600, seed=1).float(), gap=0.05)
        assert not found.inside.any()
        assert (found.distance_low <= found.distance_high).all()
        assert (found.distance_low >= 0.94 * found.distance_high).all()
