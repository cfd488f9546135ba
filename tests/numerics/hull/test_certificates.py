"""Certificates, distances and depths, each verified by other means than those that made it."""

import itertools
import math
import weakref
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial import ConvexHull
from torch.utils._python_dispatch import TorchDispatchMode

from offmap.numerics.hull import membership, stages
from offmap.numerics.hull.frame import frame_of, separate
from offmap.numerics.hull.source import source_of


def draw(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)


def rational(row):
    return [Fraction(value) for value in row.tolist()]


def root(square):
    """A square root of a fraction, from below, to 25 digits."""
    return Fraction(math.isqrt(int(square * 10**50)), 10**25)


def verified(found, points, queries, radius, tolerance=1e-6):
    """All that a membership claims, in rational arithmetic."""
    rows = [rational(point) for point in points]
    for i, query in enumerate(map(rational, queries)):
        normal = rational(found.normal[i])
        weights, chosen = rational(found.weights[i]), found.rows[i].tolist()
        assert all(w >= 0 for w in weights)
        assert abs(float(sum(weights)) - 1) < 1e-14
        assert all((row == -1) <= (w == 0) for row, w in zip(chosen, weights, strict=True))
        off = [Fraction(0)] * len(query)
        for row, w in zip(chosen, weights, strict=True):
            off = [a + w * (b - c) for a, b, c in zip(off, rows[row], query, strict=True)]
        residual = float(root(sum(a * a for a in off)))
        low, high = found.distance_low[i].item(), found.distance_high[i].item()
        assert low <= high and residual <= high * (1 + 1e-12)
        assert residual == pytest.approx(found.residual[i].item(), rel=1e-9, abs=1e-14 * radius)
        if found.inside[i]:
            assert found.margin[i] == low == 0 and not any(normal)
            assert residual <= tolerance * radius
            continue
        heights = [sum(a * b for a, b in zip(normal, row, strict=True)) for row in rows]
        margin = sum(a * b for a, b in zip(normal, query, strict=True)) - max(heights)
        length = float(root(sum(a * a for a in normal)))
        assert length == pytest.approx(1, abs=1e-14)
        assert margin >= Fraction(found.margin[i].item()) > 0
        assert float(margin) / length >= low > 0


@settings(max_examples=40, deadline=None)
@given(
    d=st.integers(1, 6),
    n=st.integers(1, 30),
    dtype=st.sampled_from((torch.float16, torch.float32, torch.float64)),
    gap=st.sampled_from((None, 0.5, 1e-4)),
    spread=st.sampled_from((0.3, 1.0, 1e6)),
    shift=st.sampled_from((0.0, 50.0)),
    seed=st.integers(0, 2**32),
)
def test_in_rational_arithmetic(d, n, dtype, gap, spread, shift, seed):
    points = (draw(n, d, seed=seed) + shift).to(dtype)
    queries = (spread * draw(6, d, seed=seed + 1) + shift).clamp(-6e4, 6e4).to(dtype)
    found = membership(points, queries, gap=gap)
    radius = (points.double() - points.double().mean(0)).square().sum(1).mean().sqrt().item()
    verified(found, points, queries, radius)
    if gap is not None:
        outside = ~found.inside
        far = (1 - 1.001 * gap) * found.distance_high - 1e-12 * (shift + spread)
        assert (found.distance_low >= far)[outside].all()


def test_proofs_hold_where_float32_does_not_tell():
    """Rounded midpoints of points: outside by rounding errors, as numbers they are outside."""
    points = draw(400, 40, dtype=torch.float32)
    queries = (points[:10] + points[10:20]) / 2
    found = membership(points, queries)
    radius = math.sqrt(40)
    verified(found, points, queries, radius)
    assert found.boundary.all()
    exact = membership(points.double(), (points[:10].double() + points[10:20].double()) / 2)
    assert exact.inside.all() and exact.boundary.all()


@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_rounding_bounds_hold_in_every_frame(shift):
    points = (draw(100, 30) * torch.logspace(0, -5, 30) + shift).float()
    queries, directions = points[:5] + 1e-3 * draw(5, 30, seed=1), draw(5, 30, seed=2)
    source = source_of(points, torch.device("cpu"), 30, 2**14)
    rows = source.shifted(points)
    reach = rows.norm(dim=1).max().item()
    transform = torch.linalg.svd(rows, full_matrices=False)
    transform = transform.Vh.T / transform.S
    for k, exact, store in itertools.product((None, 12, 30), (False, True), (False, True)):
        maps = None if k is None else transform[:, :k]
        frame = frame_of(source, maps, reach, 2**16, store=store, exact=exact)
        asked = source.shifted(queries)
        found = separate(frame, directions[:, : frame.columns], asked)
        for normal, margin, query in zip(found.normal, found.margin, asked, strict=True):
            normal = rational(normal)
            heights = [sum(map(Fraction.__mul__, normal, rational(row))) for row in rows]
            true = sum(map(Fraction.__mul__, normal, rational(query))) - max(heights)
            length = root(sum(value * value for value in normal))
            assert Fraction(margin.item()) <= true / length
            if exact:
                assert float(true / length) - margin.item() < 1e-12 * (reach + query.norm())


def solved(points, query):
    """The distance to the hull, by sequential quadratic programming."""
    found = minimize(
        lambda w: ((w @ points - query) ** 2).sum(),
        x0=torch.full((len(points),), 1 / len(points)).double().numpy(),
        jac=lambda w: 2 * points @ (w @ points - query),
        bounds=[(0, 1)] * len(points),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-13, "maxiter": 500},
        method="SLSQP",
    )
    return math.sqrt(found.fun)


@pytest.mark.parametrize("d", [2, 6, 15])
def test_distances_as_of_a_quadratic_program(d):
    points, queries = draw(25, d, seed=d), 1.5 * draw(12, d, seed=d + 1)
    points *= torch.linspace(1, 0.01, d)
    found = membership(points, queries, gap=1e-7)
    truth = torch.tensor([solved(points.numpy(), query) for query in queries.numpy()])
    assert (~found.inside).sum() >= 5
    middle = (found.distance_low + found.distance_high) / 2
    torch.testing.assert_close(middle.float(), truth.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("d", [1, 2, 4, 7])
def test_distance_to_a_box(d):
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=d))).double()
    sides = torch.arange(1.0, d + 1).double()
    queries = 2 * sides * draw(60, d, seed=d)
    found = membership(corners * sides, queries, gap=1e-8)
    truth = (queries - queries.clamp(-sides, sides)).norm(dim=1)
    assert found.inside.tolist() == (truth == 0).tolist()
    assert (found.distance_low <= truth + 1e-12).all()
    assert (truth <= found.distance_high + 1e-12).all()
    assert (found.distance_low[truth > 0] >= truth[truth > 0] * (1 - 1e-7)).all()


def test_bounds_are_valid_where_they_are_loose():
    points, queries = draw(500, 12), draw(100, 12, seed=1)
    loose, tight = membership(points, queries), membership(points, queries, gap=1e-6)
    assert (loose.distance_low <= tight.distance_high).all()
    assert (tight.distance_low <= loose.distance_high).all()
    assert (tight.distance_low >= loose.distance_low).all()
    assert ((1 - tight.distance_low / tight.distance_high)[~tight.inside] < 2e-6).all()


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_boundary_as_of_qhull(d):
    """Queries at known distances from the nearest facet, on either side of it."""
    points, tolerance = draw(60, d, seed=d), 1e-5
    radius = (points - points.mean(0)).square().sum(1).mean().sqrt()
    if d == 1:
        ends = torch.cat((points.amax(0), -points.amin(0)))
        planes = torch.stack((torch.tensor([1.0, -1.0]).double(), -ends), 1)
    else:
        planes = torch.from_numpy(ConvexHull(points.numpy()).equations)
    inner = 0.9 * points[torch.randint(60, (200,), generator=torch.Generator().manual_seed(1))]
    depth = -(inner @ planes[:, :-1].T + planes[:, -1]).amax(1)  # below 0: outside
    plane = (inner @ planes[:, :-1].T + planes[:, -1]).argmax(1)
    steps = torch.linspace(-6, 6, 200)[:, None].sinh() * tolerance * radius
    moved = inner + planes[plane, :-1] * (depth[:, None] + steps)
    height = (moved @ planes[:, :-1].T + planes[:, -1]).amax(1)  # the distance, inside
    found = membership(points, moved, tolerance=tolerance)
    assert found.inside.tolist() == (height < 0).tolist()
    near = height.abs() <= tolerance * radius
    assert found.boundary[near].all()
    assert not found.boundary[height < -100 * tolerance * radius].any()
    assert not found.boundary[found.distance_low > tolerance * radius].any()
    assert (found.boundary | (found.distance_low > tolerance * radius))[~found.inside].all()


def test_depth_of_copies_of_points():
    """A query that equals a point is at the boundary only if the point is."""
    grid = torch.cartesian_prod(*[torch.arange(5)] * 3)
    found = membership(grid, grid)
    on_face = ((grid == 0) | (grid == 4)).any(1)
    assert found.inside.all() and (found.residual < 1e-15).all()
    assert found.boundary.tolist() == on_face.tolist()


class Counted:
    """Rows behind `read`; remembers what was asked for."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def __len__(self):
        return len(self.rows)

    def read(self, start, stop):
        self.asked.append(stop - start)
        return self.rows[start:stop].clone()


class Peak(TorchDispatchMode):
    """Bytes of the tensors made inside that are alive at once, at most."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        old = {t.untyped_storage()._cdata for t in args if isinstance(t, torch.Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in old | self.seen:
                    self.watch(storage)
        return result

    def watch(self, storage):
        size, key = storage.nbytes(), storage._cdata
        self.seen.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self.forget, size, key)

    def forget(self, size, key):
        self.now -= size
        self.seen.discard(key)


def same(one, other):
    assert one.inside.tolist() == other.inside.tolist()
    assert one.rank == other.rank
    assert (one.distance_low <= other.distance_high).all()
    assert (other.distance_low <= one.distance_high).all()


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(("n", "m", "d", "spread"), [(3000, 120, 30, 0.9), (2000, 600, 130, 0.8)])
def test_memory_is_kept_to(n, m, d, spread, blocks):
    points, queries = draw(n, d, dtype=torch.float32), spread * draw(m, d, seed=1)
    queries = queries.float()
    if d == 30:
        points[:, 8:] *= 1e-3
        queries[:40, 8:] = 0
    whole = membership(points, queries)
    result = sum(
        getattr(whole, name).nbytes
        for name in ("normal", "weights", "rows", "margin", "residual", "distance_low")
    )
    memory = 2**23
    counted = Counted(points)
    rows = counted if blocks else points
    with Peak() as peak:
        found = membership(rows, queries, memory=memory)
    assert peak.most < memory + 1.2 * result
    same(found, whole)
    assert not blocks or max(counted.asked) * 4 * d <= memory / 16


def test_too_little_memory_is_refused():
    points = draw(500, 40)
    with pytest.raises(ValueError, match=r"expected memory >= \d+ for 500 points of 40 values"):
        membership(points, points, memory=2**20)
    needed = 2**20 + 48 * 40 * 40
    assert membership(points, points[:3], memory=needed).inside.all()


def test_blocks_are_read_in_order_and_are_the_same_points(monkeypatch):
    monkeypatch.setattr(stages, "LEAST", 4)
    points, queries = draw(1000, 20), 0.6 * draw(100, 20, seed=1)
    same(membership(Counted(points), queries, gap=0.01), membership(points, queries, gap=0.01))
