"""Shares inside the hull of train: against Delaunay, linear programs, and exact laws."""

import math
from statistics import NormalDist

import pytest
import torch
from scipy.optimize import linprog
from scipy.spatial import Delaunay
from sklearn.decomposition import PCA

from offmap.attempt import CannotMeasure
from offmap.inputs import RealPredictions
from offmap.lab.worlds import curve, gaussian, sphere
from offmap.measures.geometry import inside as helper
from offmap.measures.geometry.hull_membership import hull_membership
from offmap.run import Domain, Split

COPIES = "equal to a training example"


def read(queries, train, generator, *, error=None, kind="vector", memory=2**30, **settings):
    """A reading; `error` [n] becomes that of predictions."""
    predictions = {}
    if error is not None:
        outputs = error.double().sqrt()[:, None]
        predictions["test"] = RealPredictions(outputs, torch.zeros_like(outputs))
    domain = Domain(tuple(train.shape[1:]), train.dtype, kind=kind)
    return hull_membership(
        Split(queries, name="test", memory=memory), Split(train, name="train"), domain, predictions,
        generator=generator, **settings,
    )  # fmt: skip


def enclosed(points, query) -> bool:
    """By a linear program."""
    equal = torch.cat([points.T, torch.ones(1, len(points))]).numpy()
    return linprog([0] * len(points), A_eq=equal, b_eq=[*query.tolist(), 1.0]).success


def test_agrees_with_triangulations(generator):
    train, queries = gaussian(60, 3, generator=generator), gaussian(200, 3, generator=generator)
    reading = read(queries, train, generator, dimensions=(1, 2))
    inside = torch.from_numpy(Delaunay(train.numpy()).find_simplex(queries.numpy()) >= 0)
    assert reading.value == inside.double().mean().item()
    assert torch.equal(reading.per_example == 3, inside)

    plane = PCA(2).fit(train.numpy())
    flat = Delaunay(plane.transform(train.numpy()))
    there = torch.from_numpy(flat.find_simplex(plane.transform(queries.numpy())) >= 0)
    assert reading.parts["inside, 2 components"].value == there.double().mean().item()
    assert torch.equal(reading.per_example >= 2, there)
    assert reading.parts["dimensions that train spans"].value == 3


def test_agrees_with_linear_programs_in_more_dimensions(generator):
    train, queries = (
        gaussian(80, 6, generator=generator),
        0.6 * gaussian(40, 6, generator=generator),
    )
    reading = read(queries, train, generator, dimensions=(2, 4))
    assert reading.per_example.eq(6).tolist() == [enclosed(train, q) for q in queries]
    space = PCA(4).fit(train.numpy())
    few, here = (torch.from_numpy(space.transform(x.numpy())) for x in (train, queries))
    assert reading.per_example.ge(4).tolist() == [enclosed(few, q) for q in here]


def test_null_is_the_exact_law_of_gaussian_data(generator):
    """A fresh hull for each example: the mean share is the null."""
    shares = []
    for _ in range(40):
        sides = gaussian(40, 4, generator=generator), gaussian(63, 4, generator=generator)
        reading = read(*sides, generator, dimensions=(4,))
        shares.append(reading.value)
    assert reading.null.value == pytest.approx(0.5, abs=0.01)
    values = torch.tensor(shares)
    assert abs(values.mean() - reading.null.value) < 4 * values.std() / math.sqrt(len(values))


def test_intervals_cover_the_truth(generator):
    """The share of N(0, 1) within [-a, a]; errors N(1, 1) squared outside, N(0, 1) squared inside.

    The mean errors are 2 and 1.
    """
    shares = differences = 0
    for _ in range(200):
        a = 0.5 + 0.7 * torch.rand(1, 1, generator=generator)
        queries, noise = torch.randn(2, 80, 1, generator=generator)
        error = (noise + (queries.abs() > a)).square()[:, 0]
        reading = read(queries, torch.cat([-a, a]), generator, error=error)
        shares += reading.low <= 2 * NormalDist().cdf(a.item()) - 1 <= reading.high
        part = reading.parts["error outside minus inside, all dimensions"]
        differences += part.low <= 1 <= part.high
    assert 0.90 <= shares / 200 <= 0.99
    assert 0.90 <= differences / 200 <= 0.99


def test_orders_amid_alike_and_apart(generator):
    train = gaussian(200, 4, generator=generator)
    fresh = gaussian(150, 4, generator=generator)
    amid, alike, apart = (
        read(queries, train, generator, dimensions=(1, 2, 3))
        for queries in (0.3 * fresh, fresh, fresh + 9)
    )
    assert apart.high < alike.low < alike.high < amid.low
    assert apart.null == alike.null == amid.null
    for reading in (amid, alike, apart):
        curve = reading.figures[0]
        assert curve.x.tolist() == [1, 2, 3, 4]
        assert bool((curve.series["test"].diff() <= 0).all())  # a projection only moves inside
        assert bool((curve.series["Gaussian data"].diff() < 0).all())
        assert curve.series["Gaussian data"][-1] == reading.null.value


def test_an_affine_map_of_all_data_changes_no_answer(generator):
    train, queries = gaussian(100, 3, generator=generator), gaussian(80, 3, generator=generator)
    matrix, shift = 3 * gaussian(3, 7, generator=generator), gaussian(1, 7, generator=generator)
    expected = read(queries, train, generator, dimensions=(1,))
    found = read(queries @ matrix + shift, train @ matrix + shift, generator, dimensions=(1,))
    assert found.estimate == expected.estimate
    assert found.null == expected.null  # three dimensions, embedded in seven
    assert torch.equal(found.per_example == 3, expected.per_example == 3)
    order = torch.randperm(80, generator=generator)
    again = read(queries[order], train, generator, dimensions=(1,))
    assert torch.equal(again.per_example, expected.per_example[order])


def test_copies_are_counted_apart(generator):
    train = gaussian(50, 2, generator=generator)
    fresh = gaussian(30, 2, generator=generator) + 9  # all outside
    reading = read(torch.cat([train[:10], fresh]), train, generator)
    assert reading.parts[COPIES].value == 0.25
    assert (reading.value, reading.estimate.n) == (0, 30)
    assert reading.per_example[:10].isnan().all()
    assert not reading.per_example[10:].any()
    again = read(fresh, torch.cat([train, train]), generator)
    assert again.null.value == read(fresh, train, generator).null.value  # repeats widen nothing
    with pytest.raises(CannotMeasure, match="each of 10 examples looked at equals a training"):
        read(train[:10], train, generator)


def test_errors_are_compared_where_the_examples_divide(generator):
    """Inside in the first of two components, outside in both: the first tells them apart."""
    train = torch.tensor([[-4.0, -1], [-4, 1], [4, -1], [4, 1]])
    first = torch.linspace(-3, 3, 30)
    between = torch.stack([first, torch.full_like(first, 2)], dim=1)
    beyond = between + torch.tensor([20.0, 0.0])
    error = torch.cat([torch.ones(30), torch.full((30,), 4.0) + torch.arange(30) / 100])
    reading = read(torch.cat([between, beyond]), train, generator, error=error, dimensions=(1,))
    assert reading.value == 0
    assert reading.parts["error inside, 1 components"].value == 1
    assert reading.parts["error outside, 1 components"].value == pytest.approx(4.145)
    part = reading.parts["error outside minus inside, 1 components"]
    assert part.value == pytest.approx(3.145)
    assert part.low > 0
    few = read(
        torch.cat([between[:9], beyond]), train, generator, error=error[21:], dimensions=(1,)
    )
    assert not [name for name in few.parts if name.startswith("error")]


def test_spheres_and_corners_are_said_to_mean_nothing(generator):
    directions = gaussian(700, 3, generator=generator)
    points = sphere(700, 3, generator=generator)
    reading = read(points[600:], points[:600], generator)
    assert reading.value == 0
    assert reading.null.value > 0.9
    assert any("on a sphere" in note and "means nothing" in note for note in reading.notes)

    corners = torch.randint(2, (400, 12), generator=generator).float()
    reading = read(corners[300:], corners[:300], generator)
    assert reading.value == 0
    assert any("corners of a box" in note for note in reading.notes)
    plain = read(directions[600:], directions[:600], generator)
    assert not any("means nothing" in note for note in plain.notes)


def test_a_curve_of_vertices_has_no_inside(generator):
    """No point of this curve is in the hull of others, however many there are."""
    points = curve(torch.rand(400, generator=generator), 6)
    assert read(points[300:], points[:300], generator).value == 0


def test_notes_say_how_many_samples_it_would_take(generator):
    reading = read(
        gaussian(20, 5, generator=generator), gaussian(50, 5, generator=generator), generator
    )
    assert reading.notes == (
        "Of Gaussian data in 5 dimensions, half of the fresh examples lie inside the hull of 135 "
        "others; train has 50 different ones.",
    )


def test_fewer_examples_than_dimensions_have_no_inside(generator):
    reading = read(
        gaussian(20, 9, generator=generator), gaussian(5, 9, generator=generator), generator
    )
    assert (reading.value, reading.null.value) == (0, 0)
    assert reading.parts["dimensions that train spans"].value == 4


def test_looks_at_a_sample_of_images(generator, monkeypatch):
    """Whole numbers, read in blocks; principal components from a sample of train."""
    monkeypatch.setattr(helper, "FITTED", 30)
    train = torch.randint(0, 256, (90, 1, 4, 4), dtype=torch.uint8, generator=generator)
    queries = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8, generator=generator)
    reading = read(queries, train, generator, examples=25, dimensions=(2, 4))
    assert int(reading.per_example.isfinite().sum()) == 25
    assert reading.estimate.n == 25
    assert reading.per_example.nan_to_num(2).unique().tolist() != [0]


@pytest.mark.parametrize("dimensions", [(), (0, 2), (4, 2), (2, 2)])
def test_refuses_dimensions_that_do_not_increase(generator, dimensions):
    with pytest.raises(ValueError, match="expected positive, increasing dimensions"):
        read(torch.zeros(2, 2), torch.eye(2), generator, dimensions=dimensions)


def test_refuses_what_has_no_hull(generator):
    with pytest.raises(CannotMeasure, match="token numbers have no convex hull"):
        read(torch.zeros(2, 2), torch.eye(2), generator, kind="tokens")
    with pytest.raises(CannotMeasure, match="training examples are equal"):
        read(torch.zeros(2, 2), torch.ones(5, 2), generator)
    with pytest.raises(ValueError, match="expected examples >= 1, got 0"):
        read(torch.zeros(2, 2), torch.eye(2), generator, examples=0)
    with pytest.raises(CannotMeasure, match=r"takes a memory budget of 0.1 GiB, more than the 0.0"):
        read(torch.zeros(2, 900), torch.eye(900), generator, memory=2**20)
