"""Sides: against exact arithmetic, Qhull, linear programs, closed forms and symmetries."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.optimize import linprog
from scipy.spatial import Delaunay

from offmap.numerics.hull import membership, settle, stages, wendel_probability
from offmap.numerics.hull.program import program


def draw(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)


def exactly_inside(points, query):
    """Phase one of the simplex method with Bland's rule, in rational numbers."""
    rows = [[Fraction(point[j]) for point in points] for j in range(len(query))]
    rows.append([Fraction(1)] * len(points))
    size, count = len(rows), len(points)
    table = []
    for i, (row, right) in enumerate(zip(rows, [*map(Fraction, query), Fraction(1)], strict=True)):
        sign = -1 if right < 0 else 1
        artificial = [Fraction(int(i == j)) for j in range(size)]
        table.append([sign * value for value in row] + artificial + [sign * right])
    basis = list(range(count, count + size))
    cost = [-sum((row[j] for row in table), Fraction()) for j in range(count + size + 1)]
    cost[count : count + size] = [Fraction(0)] * size
    while (entering := next((j for j in range(count) if cost[j] < 0), None)) is not None:
        able = [i for i in range(size) if table[i][entering] > 0]
        leaving = min(able, key=lambda i: (table[i][-1] / table[i][entering], basis[i]))
        pivot = table[leaving][entering]
        table[leaving] = [value / pivot for value in table[leaving]]
        for row in [*(table[i] for i in range(size) if i != leaving), cost]:
            factor = row[entering]
            row[:] = [a - factor * b for a, b in zip(row, table[leaving], strict=True)]
        basis[leaving] = entering
    return cost[-1] == 0


def programmed(points, queries):
    """One linear program a query, on data of unit range."""
    points, queries = points.double().numpy(), queries.double().numpy()
    center, extent = points.mean(0), np.ptp(points)
    points, queries = (points - center) / extent, (queries - center) / extent
    system = np.vstack((points.T, np.ones(len(points))))
    found = [
        linprog(np.zeros(len(points)), A_eq=system, b_eq=np.append(query, 1.0), method="highs")
        for query in queries
    ]
    return torch.tensor([answer.status == 0 for answer in found])


INTEGERS = (torch.int8, torch.int64, torch.float16, torch.float32, torch.float64)


@settings(max_examples=80, deadline=None)
@given(
    d=st.integers(1, 5),
    n=st.integers(1, 13),
    high=st.integers(1, 4),
    offset=st.sampled_from((0, 100)),
    dtypes=st.tuples(st.sampled_from(INTEGERS), st.sampled_from(INTEGERS)),
    constant=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_lattices_as_in_rational_arithmetic(d, n, high, offset, dtypes, constant, seed):
    """Lattice points tie, repeat and lie on facets: the side is right even there."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randint(-high, high + 1, (n, d), generator=generator)
    queries = torch.randint(-high, high + 1, (5, d), generator=generator)
    queries[0] = points[0]
    if constant:
        points[:, 0] = 1
    found = membership((points + offset).to(dtypes[0]), (queries + offset).to(dtypes[1]))
    assert found.inside.tolist() == [exactly_inside(points.tolist(), q) for q in queries.tolist()]


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agrees_with_qhull(d, dtype):
    points, queries = draw(400, d, seed=d, dtype=dtype), draw(300, d, seed=d + 1, dtype=dtype)
    found = membership(points, queries)
    truth = Delaunay(points.double().numpy()).find_simplex(queries.double().numpy()) >= 0
    assert found.inside.tolist() == truth.tolist()
    assert 0.1 < found.inside.double().mean() < 0.99
    assert not found.boundary.any() and found.rank == d


@pytest.mark.parametrize(("d", "n", "scale"), [(8, 600, 1.0), (20, 1500, 0.55), (70, 300, 0.12)])
def test_agrees_with_linear_programs_and_needs_none(d, n, scale, monkeypatch):
    monkeypatch.setattr(settle, "program", None)
    points, queries = draw(n, d, seed=d), scale * draw(40, d, seed=d + 1)
    found, truth = membership(points, queries), programmed(points, queries)
    assert 3 <= truth.sum() <= 37
    assert found.inside.tolist() == truth.tolist()


def test_agrees_with_linear_programs_on_images(data_folder):
    with np.load(data_folder / "mnist.npz") as data:
        train, test = (
            torch.from_numpy(data[name][:count]).flatten(1).double()
            for name, count in (("x_train", 4000), ("x_test", 40))
        )
    center = train.mean(0)
    basis = torch.linalg.svd(train - center, full_matrices=False).Vh[:8].T
    points, queries = (train - center) @ basis, (test - center) @ basis
    truth = programmed(points, queries)
    assert 3 <= truth.sum() <= 37
    assert membership(points, queries).inside.tolist() == truth.tolist()
    assert membership(points.float(), queries.float()).inside.tolist() == truth.tolist()
    whole = membership(train, test)
    assert not whole.inside.any() and not whole.boundary.any()


def test_on_a_line_the_interval_decides():
    points, queries = draw(50, 1), 2 * draw(300, 1, seed=1)
    truth = (queries >= points.min()) & (queries <= points.max())
    assert membership(points, queries).inside.tolist() == truth.flatten().tolist()


def test_a_new_point_on_a_line_is_outside_with_probability_two_over_n_plus_one():
    trials, n = 600, 7
    rows = draw(trials, n + 1)
    outside = sum(
        int(not membership(row[:-1, None], row[-1:, None]).inside) for row in rows[: trials // 4]
    )
    p, count = 2 / (n + 1), trials // 4
    assert abs(outside / count - p) < 4 * math.sqrt(p * (1 - p) / count)


def test_wendel_at_the_origin():
    d, n, trials = 3, 7, 150
    origin = torch.zeros(1, d, dtype=torch.float64)
    inside = sum(int(membership(draw(n, d, seed=i), origin).inside) for i in range(trials))
    p = 1 - sum(math.comb(n - 1, k) for k in range(d)) / 2 ** (n - 1)
    assert p == pytest.approx(wendel_probability(n, d))
    assert abs(inside / trials - p) < 4 * math.sqrt(p * (1 - p) / trials)


def test_simplex():
    d = 12
    points = torch.eye(d, dtype=torch.float64)  # of d - 1 dimensions
    center = points.mean(0, keepdim=True)
    found = membership(points, torch.cat((points, center, center + 0.1)), gap=1e-9)
    assert found.rank == d - 1
    assert found.inside.tolist() == [True] * (d + 1) + [False]
    assert found.boundary.tolist() == [True] * d + [False] * 2
    assert found.weights[d].tolist() == pytest.approx([1 / d] * d, abs=1e-13)
    assert found.distance_low[-1].item() == pytest.approx(0.1 * math.sqrt(d), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_point_of_a_sphere_is_inside(dtype):
    rows = torch.nn.functional.normalize(draw(1200, 16, dtype=dtype), dim=1)
    assert not membership(rows[:1000], rows[1000:]).inside.any()


def test_of_vertices_of_a_cube_only_copies_are_inside():
    rows = torch.randint(0, 2, (900, 10), generator=torch.Generator().manual_seed(0))
    points, queries = rows[:500], rows[500:]
    truth = (queries[:, None] == points).all(2).any(1)
    found = membership(points.float(), queries.float())
    assert 50 < truth.sum() < 350
    assert found.inside.tolist() == truth.tolist()
    assert found.boundary[found.inside].all()


@pytest.mark.parametrize("d", [2, 3, 6, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_point_of_the_moment_curve_is_extreme(d, dtype):
    t = 2 * torch.rand(140, dtype=torch.float64, generator=torch.Generator().manual_seed(d)) - 1
    rows = torch.stack([t**power for power in range(1, d + 1)], 1).to(dtype)
    found = membership(rows[:100], rows[100:])
    assert not found.inside.any() and found.rank == d


def test_tolerance_does_not_move_points_of_a_curve_inside():
    """Cubic splines through d + 2 random knots: near each other's hull, and outside of it."""
    near = 0
    for seed in range(4):
        generator = np.random.default_rng(seed)
        curve = CubicSpline(np.linspace(0, 1, 9), generator.normal(size=(9, 7)))
        rows = torch.from_numpy(curve(generator.uniform(size=812)))
        found = membership(rows[:800], rows[800:], gap=0.1)
        assert not found.inside.any() and (found.margin > 0).all()
        near += int((found.distance_high < math.sqrt(1e-5)).sum())
    assert near > 40  # what a squared residual below 1e-5 would have called inside


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_the_affine_dimension_matters(dtype):
    points, queries = draw(63, 4), draw(60, 4, seed=1)
    truth = membership(points, queries).inside
    assert 10 < truth.sum() < 50
    for d in (4, 5, 50, 784):
        embedding, shift = draw(4, d, seed=d), draw(d, seed=d + 1)
        rows = [(part @ embedding + shift).to(dtype) for part in (points, queries)]
        found = membership(*rows)
        assert found.rank == 4
        assert found.inside.tolist() == truth.tolist()
    noisy = [row.double() + 1e-3 * draw(*row.shape, seed=9) for row in rows]
    full = membership(*noisy)
    assert full.rank == 62 and not full.inside.any()


def test_maps_that_squeeze_change_no_side():
    points, queries = draw(100, 5), draw(200, 5, seed=1)
    turn = torch.linalg.qr(draw(5, 5, seed=2)).Q
    squeeze = turn * torch.tensor([1, 1e-2, 1e-4, 1e-6, 1e-8], dtype=torch.float64)
    found = membership(points, queries)
    moved = membership(points @ squeeze @ turn.T, queries @ squeeze @ turn.T, tolerance=0)
    assert moved.inside.tolist() == found.inside.tolist()
    flat = membership(points @ squeeze, queries @ squeeze)
    assert flat.rank == 4 and (flat.inside >= found.inside).all()  # the fifth is within tolerance


def test_order_and_repetition_change_no_side():
    points, queries = draw(300, 6, dtype=torch.float32), draw(100, 6, seed=1, dtype=torch.float32)
    found = membership(points, queries)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    other = membership(points[order].repeat(3, 1), queries.flip(0))
    assert other.inside.flip(0).tolist() == found.inside.tolist()


def test_float32_and_float64_of_equal_numbers_agree():
    points, queries = draw(500, 9, dtype=torch.float32), draw(200, 9, seed=1, dtype=torch.float32)
    found, wide = membership(points, queries), membership(points.double(), queries.double())
    assert found.inside.tolist() == wide.inside.tolist()


def test_screening_changes_no_side(monkeypatch):
    points, queries = draw(3000, 120), 0.7 * draw(600, 120, seed=1)
    queries[:5] = points[:50].view(5, 10, 120).mean(1)
    found = membership(points, queries)
    assert 0.5 < found.screened < 1
    monkeypatch.setattr(stages, "LEAST", 1000)
    other = membership(points, queries)
    assert other.screened == 0
    assert found.inside.tolist() == other.inside.tolist() == [True] * 5 + [False] * 595


def test_corrals_grow_as_needed(monkeypatch):
    monkeypatch.setattr(settle, "CORRAL", 3)
    monkeypatch.setattr(stages, "CORRAL", 3)
    points, queries = draw(300, 10), 0.7 * draw(50, 10, seed=1)
    found = membership(points, queries, gap=1e-3)
    assert found.inside.tolist() == programmed(points, queries).tolist()
    outside = ~found.inside
    assert (found.distance_low >= 0.998 * found.distance_high)[outside].all()


def test_linear_programs_have_the_last_word(monkeypatch):
    points, queries = draw(200, 6), draw(60, 6, seed=1)
    found = membership(points, queries)
    asked = []
    original = settle.program
    monkeypatch.setattr(settle, "ROUNDS", 1 - 10 * 6)  # looks: one
    monkeypatch.setattr(settle, "program", lambda *a: asked.append(1) or original(*a))
    other = membership(points, queries)
    assert len(asked) >= found.inside.sum() > 5
    assert other.inside.tolist() == found.inside.tolist()
    assert other.residual[other.inside].max() < 1e-13


@pytest.mark.parametrize(("dimension", "seed"), [(3, 0), (5, 2)])  # some that were called inside
def test_no_point_of_the_moment_curve_is_inside_the_hull_of_others(dimension, seed, generator):
    """(t - s)^2 is the square of the gap, down to 1e-13 of the curve's size among 30,000 points."""
    generator.manual_seed(seed)
    points, queries = (
        (2 * torch.rand(n, 1, dtype=torch.double, generator=generator) - 1)
        ** torch.arange(1, dimension + 1)
        for n in (30_000, 2_000)
    )
    found = membership(points, queries)
    assert not found.inside.any()
    assert found.margin.min() < 1e-12  # as near as that some are


def test_a_program_sees_what_is_next_to_the_query():
    """On a parabola: neighbors at 1e-6, which the plane through the query clears by 1e-12."""
    t = torch.cat((torch.linspace(-1, 1, 201), torch.tensor([-1e-6, 1e-6]))).double()
    query = torch.zeros(2, dtype=torch.double)
    points = torch.stack((t[t != 0], t[t != 0] ** 2), dim=1)
    direction, _, _ = program(points, query)
    assert (points @ direction).max() < 0  # exactly (0, -1), or as good
