"""The dimension of training inputs: known manifolds, coverage, order, what is said and refused."""

import math

import pytest
import torch
from scipy.spatial import cKDTree

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.lab.worlds import gaussian, rotation, sphere, torus
from offmap.measures.geometry.intrinsic_dimension import intrinsic_dimension
from offmap.numerics.neighbors import search
from offmap.run import Split

PCA, FACTOR = "local PCA", "largest estimate over smallest"


def neighbors(points, rows=None, k=20):
    rows = torch.arange(len(points)) if rows is None else rows
    found = search(points[rows], points, k=min(k, len(points) - 1), exclude=rows)
    return TrainNeighbors(rows, found.distance, found.index)


def read(points, generator, rows=None, **settings):
    near = neighbors(points, rows)
    return intrinsic_dimension(Split(points), near, generator=generator, **settings)


def embedded(points, ambient, generator):
    return points @ rotation(ambient, generator=generator)[: points.shape[1]]


def test_a_curved_sheet_in_many_pixels(generator):
    """The unit sphere of 3 dimensions in 50: curved, so a cloud of its covariance has 4."""
    points = embedded(sphere(1500, 4, generator=generator), 50, generator)
    reading = read(points, generator)
    assert reading.value == pytest.approx(3, rel=0.06)
    assert reading.null.value == pytest.approx(4, rel=0.1)
    assert reading.high < reading.null.low
    assert reading.parts["TwoNN"].low < 3 < reading.parts["TwoNN"].high
    assert reading.parts[PCA].value == pytest.approx(3, abs=0.2)
    assert reading.parts["numbers of an input that vary"].value == 50
    assert reading.parts[FACTOR].value < 1.2
    assert reading.notes == ()
    assert reading.per_example.mean().item() == pytest.approx(3, rel=0.1)
    curve, bars = reading.figures
    assert curve.x.tolist() == [2, 4, 8, 16]
    assert bool((curve.series["data"] - 3).abs().max() < 0.4)
    assert list(bars.values) == [
        "TwoNN",
        "Gride, neighbors 2 and 4",
        "Gride, neighbors 4 and 8",
        "Gride, neighbors 8 and 16",
        "maximum likelihood, 20 neighbors",
        PCA,
        "Gaussian cloud",
    ]


@pytest.mark.parametrize("d", [1, 2, 4])
def test_flat_tori_of_known_dimension_have_it_in_any_space(d, generator):
    readings = [
        read(torus(1500, d, ambient, generator=generator), generator) for ambient in (8, 40)
    ]
    for reading in readings:
        assert reading.value == pytest.approx(d, rel=0.1)
        assert reading.parts["TwoNN"].value == pytest.approx(d, rel=0.12)


def test_a_gaussian_cloud_reads_as_its_null(generator):
    scale = torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.0])
    for _ in range(5):
        points = torch.randn(1200, 6, generator=generator) * scale
        reading = read(points, generator)
        gap = math.log(reading.value / reading.null.value)
        errors = [math.log(one.high / one.value) / 1.96 for one in (reading.estimate, reading.null)]
        assert abs(gap) < 4 * math.hypot(*errors) + 0.02  # its covariance is estimated


def test_interval_covers_the_truth(generator):
    """Even density on a torus, whose distances go around the edges."""
    covered = 0
    for _ in range(200):
        points = torch.rand(100, 2, dtype=torch.double, generator=generator)
        distance, index = cKDTree(points.numpy(), boxsize=1).query(points.numpy(), k=11)
        near = TrainNeighbors(
            torch.arange(100), torch.from_numpy(distance[:, 1:]), torch.from_numpy(index[:, 1:])
        )
        reading = intrinsic_dimension(Split(points), near, k=10, examples=50, generator=generator)
        covered += reading.low <= 2 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_orders_a_curve_a_sheet_and_noise(generator):
    line = sphere(800, 2, generator=generator)
    sheet = sphere(800, 3, generator=generator)
    readings = [
        read(embedded(points, 10, generator), generator)
        for points in (line, sheet, gaussian(800, 10, generator=generator))
    ]
    assert readings[0].high < readings[1].low < readings[1].high < readings[2].low


def test_twenty_dimensions_read_too_small_and_it_is_said(generator):
    reading = read(gaussian(2000, 20, generator=generator), generator)
    assert 14 < reading.value < 18
    assert 15 < reading.parts["TwoNN"].value < 18
    assert reading.notes[0].startswith("Above 10 dimensions all estimators read too little")


def test_noise_on_a_line_is_seen_at_the_finest_scale(generator):
    line = torch.linspace(0, 1, 2000)[:, None].double()
    noisy = torch.cat([line, 0.0005 * torch.randn(2000, 4, generator=generator)], dim=1)
    reading = read(noisy, generator)
    series = reading.figures[0].series["data"]
    assert series[0] > 1.5 * series[-1]
    assert "depends on the scale" in reading.notes[0]


def test_invariant_to_order_unit_and_place(generator):
    points = torch.randn(300, 4, dtype=torch.double, generator=generator)
    order = torch.randperm(300, generator=generator)
    one = read(points, torch.Generator().manual_seed(1))
    other = read(points[order] * 8 - 5, torch.Generator().manual_seed(1))
    assert other.value == pytest.approx(one.value)
    assert other.low == pytest.approx(one.low)
    torch.testing.assert_close(other.per_example, one.per_example[order])


def test_rows_that_were_not_looked_up_have_no_answer(generator):
    points = torch.randn(300, 4, generator=generator)
    rows = torch.arange(0, 300, 3)
    reading = read(points, generator, rows)
    assert reading.estimate.n == 100
    assert bool(reading.per_example[rows].isfinite().all())
    assert int(reading.per_example.isnan().sum()) == 200


def test_few_copies_are_said_and_many_refused(generator):
    points = torch.randn(400, 3, generator=generator)
    reading = read(torch.cat([points, points[:5]]), generator)
    assert reading.notes == ("10 of the 405 inputs equal another one and were left out.",)
    assert int(reading.per_example.isnan().sum()) == 10
    with pytest.raises(CannotMeasure, match=r"training inputs: 22.2% of the points equal another"):
        read(torch.cat([points, points[:50]]), generator)


def test_pictures_of_bytes_and_vectors_of_one_number(generator):
    bytes_ = torch.randint(256, (200, 1, 3, 3), generator=generator).to(torch.uint8)
    assert 5 < read(bytes_, generator).value < 12
    assert read(torch.randn(200, 1, generator=generator), generator).value == pytest.approx(1, 0.2)


def test_refuses_lattices_few_examples_and_wrong_settings(generator):
    grid = torch.cartesian_prod(*[torch.arange(5.0)] * 3)
    with pytest.raises(CannotMeasure, match="lie on a lattice"):
        read(grid, generator)
    with pytest.raises(CannotMeasure, match="at least 50 points"):
        read(torch.randn(49, 3, generator=generator), generator)
    points = torch.randn(60, 3, generator=generator)
    with pytest.raises(ValueError, match="k >= 3 and examples >= 50, got 2 and 1000"):
        read(points, generator, k=2)
    with pytest.raises(ValueError, match="got 20 and 49"):
        read(points, generator, examples=49)
