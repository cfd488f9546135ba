"""Radii around train: exact laws of even density, the covering radius of a circle, coverage."""

import math

import pytest
import torch
from scipy.spatial import cKDTree
from scipy.stats import gumbel_r, kstest

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.measures.geometry.fill_distance import fill_distance
from offmap.run import Split

DOUBLINGS = "doublings of train that halve the distance"
EVEN = "with even density in so many dimensions"
LARGEST, BEYOND = (
    "largest seen: the covering radius is no less",
    "share that may lie farther than all seen",
)


def even(n, d, generator, k=20):
    """Distances to train as even density gives them, example by example on its own."""
    volumes = -torch.rand(n, k, dtype=torch.double, generator=generator).log()
    return found(volumes.cumsum(dim=1) ** (1 / d))


def found(distance):
    return TrainNeighbors(
        torch.arange(len(distance)), distance, torch.zeros(distance.shape, dtype=torch.long)
    )


def read(theirs, own, **settings):
    split = Split(torch.zeros(len(theirs.rows), 1), name="test")
    return fill_distance(split, theirs, own, **settings)


def looked_up(queries, points, k=20, *, own=False):
    """Neighbors on the torus [0, 1]^d."""
    distance, _ = cKDTree(points.numpy(), boxsize=1).query(queries.numpy(), k=range(1, k + own + 1))
    return found(torch.from_numpy(distance[:, own:]))


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_even_density_has_the_value_of_the_closed_form(level, generator):
    reading = read(even(4000, 3, generator), even(4000, 3, generator), level=level)
    truth = (math.log(1 / (1 - level)) / math.log(2)) ** (1 / 3)
    assert reading.low < truth < reading.high
    assert reading.high - reading.low < 0.1
    assert reading.parts[EVEN].low < truth < reading.parts[EVEN].high
    assert reading.null.value == pytest.approx(truth, abs=0.08)
    radius = reading.parts["radius that covers 99%"]
    assert radius.low < math.log(100) ** (1 / 3) < radius.high
    assert reading.parts[DOUBLINGS].low < 3 < reading.parts[DOUBLINGS].high


def test_what_is_said_of_less_data_is_what_less_data_gives(generator):
    """Radii for a half and a quarter of train, against searches among random halves."""
    points, fresh = (torch.rand(n, 2, generator=generator).double() for n in (800, 4000))
    reading = read(looked_up(fresh, points), looked_up(points, points, own=True))
    curve = reading.figures[1]
    assert curve.x.tolist() == [0.25, 0.5, 1]
    for at, size in ((0, 200), (1, 400)):
        searched = []
        for _ in range(30):
            part = points[torch.randperm(800, generator=generator)[:size]]
            searched.append(looked_up(fresh, part, k=1).distance[:, 0])
        for level in (0.5, 0.95):
            truth = torch.cat(searched).quantile(level).item()
            # a random half keeps each with chance 1/2: its size varies by about 1 / sqrt(n)
            assert curve.series[f"test, {level:.0%}"][at].item() == pytest.approx(truth, rel=0.02)
    whole = [curve.series[f"test, {level}"][2].item() for level in ("50%", "95%", "99%")]
    expected = [reading.parts[f"radius that covers {p}"].value for p in ("50%", "95%", "99%")]
    assert whole == expected


def test_the_largest_distance_bounds_the_covering_radius_of_a_circle(generator):
    """n points on a circle: the covering radius is half the largest gap, of mean H_n / 2 n, and
    2 n h - log n is Gumbel in the limit.
    """
    n, statistics = 100, []
    fresh = torch.linspace(0, 1, 2001, dtype=torch.double)[:-1, None]
    for _ in range(200):
        points = torch.rand(n, 1, dtype=torch.double, generator=generator)
        ranked = points.flatten().sort().values
        gaps = torch.cat([ranked.diff(), ranked[:1] + 1 - ranked[-1:]])
        reading = read(looked_up(fresh, points, k=1), looked_up(points, points, k=1, own=True))
        largest = reading.parts[LARGEST].value
        assert largest <= gaps.max().item() / 2 + 1e-12
        statistics.append(2 * n * largest - math.log(n))
    harmonic = sum(1 / i for i in range(1, n + 1))
    error = torch.tensor(statistics).std().item() / math.sqrt(200)
    mean = sum(statistics) / 200
    assert abs(mean - (harmonic - math.log(n))) < 4 * error + 2 * n / 4000
    assert kstest(statistics, gumbel_r.cdf).pvalue > 0.01


def test_no_more_than_stated_lies_beyond_the_largest(generator):
    covered = 0
    for _ in range(200):
        theirs = even(80, 2, generator)
        part = read(theirs, even(80, 2, generator)).parts
        beyond = math.exp(-(part[LARGEST].value ** 2))  # the law is exp(-r^2)
        covered += beyond <= part[BEYOND].high
    assert 0.94 <= covered / 200 <= 1


def test_intervals_cover_the_truth(generator):
    truth, ratio, doublings = (math.log(20) / math.log(2)) ** (1 / 5), 0, 0
    for _ in range(200):
        reading = read(even(150, 5, generator), even(200, 5, generator))
        ratio += reading.low <= truth <= reading.high
        part = reading.parts[DOUBLINGS]
        doublings += part.low <= 5 <= part.high
    assert 0.90 <= ratio / 200 <= 0.99
    assert 0.90 <= doublings / 200 <= 0.99


def test_the_bands_of_the_tail_hold_everywhere_at_once(generator):
    """Radius at share s is (-log(1 - s))^(1/2), within the band at all shares that it reaches."""
    held = 0
    for _ in range(200):
        curve = read(even(300, 2, generator), even(300, 2, generator)).figures[0]
        truth = (-(1 - curve.x).log()).sqrt()
        low, high = curve.low["test"], curve.high["test"].nan_to_num(torch.inf)
        held += bool(((low <= truth) & (truth <= high)).all())
    assert held / 200 >= 0.95


def test_fresh_points_read_as_train_does_and_strangers_more(generator):
    points, fresh = (torch.rand(n, 2, generator=generator).double() for n in (600, 600))
    own = looked_up(points, points, own=True)
    same = read(looked_up(fresh, points), own)
    assert same.low < same.null.value < same.high
    kept = points[(points - 0.5).abs().amax(dim=1) > 0.2]  # a hole in the middle
    hole = read(looked_up(fresh, kept), looked_up(kept, kept, own=True))
    middle = fresh[(fresh - 0.5).abs().amax(dim=1) < 0.2]
    inside = read(looked_up(middle, kept), looked_up(kept, kept, own=True))
    assert same.high < hole.low < hole.high < inside.high
    assert inside.low > 2 * inside.null.value
    assert "halving the distance from test" in same.notes[0]


def test_invariant_to_order_and_unit(generator):
    theirs, own = even(100, 3, generator), even(100, 3, generator)
    order = torch.randperm(100, generator=generator)
    one, other = read(theirs, own), read(found(7 * theirs.distance[order]), found(7 * own.distance))
    assert other.value == pytest.approx(one.value)
    assert (other.low, other.high) == (pytest.approx(one.low), pytest.approx(one.high))
    assert other.parts[DOUBLINGS].value == pytest.approx(one.parts[DOUBLINGS].value)


def test_far_from_train_more_data_is_no_help(generator):
    reading = read(found(1000 + even(100, 3, generator).distance), even(100, 3, generator))
    assert reading.notes == (
        "More training examples of the same law will not come nearer to test.",
    )


def test_with_few_neighbors_nothing_is_said_of_more_data(generator):
    reading = read(even(100, 3, generator, k=3), even(100, 3, generator, k=3))
    assert {DOUBLINGS, EVEN}.isdisjoint(reading.parts)
    assert reading.notes == ()
    assert reading.figures[1].x.tolist() == [1]


def test_refuses_small_splits_and_copies(generator):
    with pytest.raises(CannotMeasure, match=r"71 examples are too few .* 0.95 quantile"):
        read(even(71, 2, generator), even(100, 2, generator))
    copies = found(torch.zeros(100, 5, dtype=torch.double))
    with pytest.raises(CannotMeasure, match="too many examples are copies"):
        read(even(100, 2, generator), copies)
    with pytest.raises(ValueError, match="0 < level < 1, got 1"):
        read(even(100, 2, generator), even(100, 2, generator), level=1.0)
