"""A bound that must never be too large, and should not be much too small."""

import pytest
import torch
from scipy.optimize import nnls
from scipy.spatial import ConvexHull

from offmap.numerics.hull import membership
from offmap.numerics.hull.bound import signed_distance_bound


def cloud(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, generator=generator)
    queries = torch.cat([
        torch.randn(60, d, generator=generator), 3 * torch.randn(20, d, generator=generator)
    ])  # fmt: skip
    return points, queries


def quadratic_program(points, query):
    """Distance to the hull as a nonnegative least squares problem; the last row makes sums one."""
    weight = 1e4
    system = torch.cat([points.double().T, torch.full((1, len(points)), weight).double()])
    right = torch.cat([query.double(), torch.tensor([weight]).double()])
    found = torch.from_numpy(nnls(system.numpy(), right.numpy())[0])
    return (points.double().T @ (found / found.sum()) - query.double()).norm()


@pytest.mark.parametrize(("n", "d"), [(300, 10), (400, 40), (100, 200)])
def test_is_below_the_distance_and_near_to_it(n, d):
    points, queries = cloud(n, d, seed=d)
    exact = membership(points, queries, gap=1e-3)
    bound = signed_distance_bound(queries, points, steps=12)
    out = ~exact.inside
    assert int(out.sum()) >= 60
    assert bool((bound[out] <= exact.distance_high[out] * (1 + 1e-9)).all())
    far = out & (exact.distance_low > 0.1 * points.norm(dim=1).mean())
    assert float((1 - bound / exact.distance_low)[far].mean()) < 0.1
    assert bool((bound[exact.inside] <= 0).all())


def test_agrees_with_a_quadratic_program():
    points, queries = cloud(80, 6, seed=1)
    exact = torch.stack([quadratic_program(points, query) for query in queries[-20:]])
    bound = signed_distance_bound(queries[-20:], points, steps=12)
    assert bool((bound <= exact + 1e-6).all())
    assert float((1 - bound / exact).mean()) < 0.02


def test_inside_it_is_at_most_minus_the_depth():
    points, queries = cloud(400, 3, seed=2)
    hull = ConvexHull(points.double().numpy())
    facets = torch.from_numpy(hull.equations)
    signed = (queries.double() @ facets[:, :-1].T + facets[:, -1]).amax(dim=1)
    inside = signed < 0
    assert int(inside.sum()) > 40
    bound = signed_distance_bound(queries, points, steps=12)
    assert bool((bound[inside] <= signed[inside] + 1e-9).all())
    assert len(bound.unique()) == len(bound)  # inside, too, nothing is tied
    gain = torch.stack([bound[inside], signed[inside]]).corrcoef()[0, 1]
    assert float(gain) > 0.7


def test_a_flat_hull_has_no_inside_but_ranks_what_lies_in_it():
    points, queries = cloud(300, 3, seed=10)
    flat, inside = (
        torch.cat([rows, torch.zeros(len(rows), 2)], dim=1) for rows in (points, queries)
    )
    bound = signed_distance_bound(inside[:60], flat, steps=12)
    assert len(bound.unique()) == 60
    alone = signed_distance_bound(queries[:60], points, steps=12)
    assert torch.allclose(bound, alone, atol=1e-4)
    lifted = signed_distance_bound(inside[:60] + torch.tensor([0, 0, 0, 0, 2.0]), flat, steps=12)
    assert bool((lifted >= 2 - 1e-6).all())


def test_knows_the_box():
    """Sides are found exactly: axes are among the directions."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)
    queries = torch.tensor([[3.0, 0, 0, 0], [0, 0.25, 0, 0], [0, 0, 0, 0], [2, 2, 2, 2]])
    bound = signed_distance_bound(queries, corners, steps=12)
    assert bound[:3].tolist() == pytest.approx([2, -0.75, -1])
    assert 1.9 < float(bound[3]) <= 2 + 1e-9


def test_moves_with_the_data():
    """Rotations change nothing, and units are those of the data."""
    points, queries = cloud(200, 12, seed=3)
    turn = torch.linalg.qr(cloud(12, 12, seed=4)[0].double()).Q
    bound = signed_distance_bound(queries.double(), points.double(), steps=12)
    moved = signed_distance_bound(
        100 * queries.double() @ turn + 7, 100 * points.double() @ turn + 7, steps=12
    )
    out = bound > 0.5
    assert int(out.sum()) > 20
    assert torch.allclose(moved[out] / 100, bound[out], rtol=0.05)


@pytest.mark.parametrize(("d", "most"), [(12, 1e-5), (64, 3e-6)])
def test_rounding_does_not_grow(d, most):
    """Another program computes queries and products with other roundings."""
    points, queries = cloud(500, d, seed=5)
    noise = 1e-7 * torch.randn(queries.shape, generator=torch.Generator().manual_seed(6))
    bound = signed_distance_bound(queries, points, steps=12)
    precise = signed_distance_bound((queries + noise).double(), points.double(), steps=12)
    assert float((bound - precise).abs().max()) < most


def test_its_slope_is_the_direction():
    points, queries = cloud(200, 8, seed=7)
    queries = queries[-20:].double().requires_grad_()
    bound = signed_distance_bound(queries, points, steps=12)
    (slope,) = torch.autograd.grad(bound.sum(), queries)
    assert torch.allclose(slope.norm(dim=1), torch.ones(20).double())
    ahead = signed_distance_bound(queries + 0.1 * slope, points, steps=12)
    assert torch.allclose(ahead - bound, torch.full((20,), 0.1).double(), atol=0.01)


def test_far_away_it_is_the_distance_to_any_point():
    points, _ = cloud(100, 5, seed=8)
    far = torch.tensor([[1e15, 0, 0, 0, 0], [0, -1e20, 0, 0, 0]])
    bound = signed_distance_bound(far, points, steps=12)
    assert bound.tolist() == pytest.approx([1e15, 1e20], rel=1e-6)


def test_more_steps_never_loosen_much_and_none_is_refused():
    points, queries = cloud(300, 20, seed=9)
    loose, tight = (signed_distance_bound(queries, points, steps=steps) for steps in (2, 12))
    assert float((tight - loose).mean()) > 0.05
    with pytest.raises(ValueError, match="expected steps >= 1, got 0"):
        signed_distance_bound(queries, points, steps=0)
