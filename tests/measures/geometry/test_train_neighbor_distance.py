"""Distances to train, against known laws; the same law at test and within train."""

from statistics import NormalDist

import pytest
import torch
from scipy.stats import ks_2samp

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.measures.geometry.train_feature_distance import train_feature_distance
from offmap.measures.geometry.train_neighbor_distance import train_neighbor_distance
from offmap.run import Split

ZERO = "exactly at a training example"
GAP = "largest gap between the coverage curves"
RELATIVE = "median distance, over that within train"


def found(distances):
    """Neighbors at these distances; the nearest of row i is training row i + 1000."""
    rows = torch.arange(len(distances))
    both = torch.stack([distances, distances + 1], dim=1).double()
    return TrainNeighbors(rows, both, (rows + 1000)[:, None].expand(-1, 2))


def read(theirs, own, measure=train_neighbor_distance):
    split = Split(torch.zeros(len(theirs), 1), name="test")
    return measure(split, found(theirs), found(own))


def searched(queries, bank, *, own=False):
    """Neighbors by brute force."""
    distance = (queries[:, None] - bank).norm(dim=2)
    if own:
        distance.fill_diagonal_(torch.inf)
    nearest, index = distance.sort(dim=1)
    return TrainNeighbors(torch.arange(len(queries)), nearest[:, :2], index[:, :2])


def test_counts_by_hand(generator):
    own = torch.arange(1, 101)[torch.randperm(100, generator=generator)]
    theirs = torch.tensor([0.0, 95.0, 95.5, 96.0, 200.0, 3.0, 3.0, 3.0])
    reading = read(theirs, own)
    assert reading.value == 3 / 8
    assert reading.null.value == 0.05
    assert reading.parts["reference distance"].value == 95
    assert reading.parts[ZERO].value == 1 / 8
    assert reading.parts["median distance"].value == 3
    assert torch.equal(reading.per_example, theirs.double())
    gallery = reading.figures[1]
    assert gallery.rows[:2].tolist() == [[4, 1004], [3, 1003]]
    assert gallery.captions[0] == "distance 200"
    assert reading.notes == (
        "Row 4 of test is the farthest from train, at a distance of 200; 95% of the training "
        "examples have another within 95.",
    )


def test_gap_is_the_two_sample_kolmogorov_smirnov_distance(generator):
    own = torch.randn(150, generator=generator).abs()
    theirs = torch.cat([torch.randn(80, generator=generator).abs() * 1.5, own[:20]])
    part = read(theirs, own).parts[GAP]
    assert part.value == pytest.approx(ks_2samp(theirs, own).statistic)
    assert part.low < part.value < part.high <= 1


def test_coverage_curve_is_the_share_within_each_distance(generator):
    own, theirs = torch.rand(100, generator=generator), torch.rand(50, generator=generator) * 2
    curve = read(theirs, own).figures[0]
    for name, distances in (("test", theirs), ("train, itself left out", own)):
        expected = (distances.double()[:, None] <= curve.x).double().mean(dim=0)
        torch.testing.assert_close(curve.series[name], expected)
        assert bool((curve.low[name] <= expected).all() and (expected <= curve.high[name]).all())
    assert curve.series["test"][-1] == 1
    half = (curve.high["test"] - curve.series["test"]).max()
    assert half == pytest.approx((torch.tensor(40.0).log() / 100).sqrt().item(), abs=1e-6)


@pytest.mark.parametrize(("n", "m", "shift"), [(100, 200, 1.0), (400, 100, 2.0), (200, 2000, 0.0)])
def test_interval_covers_the_truth(generator, n, m, shift):
    """Distances N(shift, 1) against N(0, 1): the edge is estimated too."""
    truth = 1 - NormalDist(shift).cdf(NormalDist().inv_cdf(0.95))
    covered = 0
    for _ in range(200):
        theirs = torch.randn(n, dtype=torch.double, generator=generator) + shift
        reading = read(theirs, torch.randn(m, dtype=torch.double, generator=generator))
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_interval_of_the_relative_median_covers_the_truth(generator):
    covered = 0
    for _ in range(200):
        theirs = 3 * torch.rand(60, generator=generator).add(0.1)
        part = read(theirs, torch.rand(100, generator=generator).add(0.1)).parts[RELATIVE]
        covered += part.low <= 3 <= part.high
    assert 0.90 <= covered / 200 <= 0.99


def test_orders_copies_fresh_examples_and_strangers(generator):
    train = torch.randn(400, 4, dtype=torch.double, generator=generator)
    own = searched(train, train, own=True)
    copies = train[:200]
    fresh = torch.randn(200, 4, dtype=torch.double, generator=generator)
    strangers = 4 + fresh

    def of(queries):
        split = Split(queries, name="x")
        return train_neighbor_distance(split, searched(queries, train), own)

    near, same, far = of(copies), of(fresh), of(strangers)
    assert near.value == 0
    assert near.parts[ZERO].value == 1
    assert RELATIVE not in near.parts  # a ratio to zero
    assert same.low < 0.05 < same.high
    assert far.low > 0.5
    assert far.parts[RELATIVE].low > 1
    assert far.parts[GAP].low > 0 == same.parts[GAP].low


def test_invariant_to_order_and_unit(generator):
    own, theirs = torch.rand(100, generator=generator), torch.rand(50, generator=generator) * 2
    one = read(theirs, own)
    order = torch.randperm(50, generator=generator)
    other = read(theirs[order] * 8, own * 8)
    assert other.estimate == one.estimate
    assert other.parts[GAP] == one.parts[GAP]
    assert other.parts[RELATIVE].value == pytest.approx(one.parts[RELATIVE].value)


def test_the_twin_in_feature_space_says_the_same_of_its_distances(generator):
    own, theirs = torch.rand(100, generator=generator), torch.rand(50, generator=generator) * 2
    assert read(theirs, own, train_feature_distance).estimate == read(theirs, own).estimate
    assert train_feature_distance.needs[1:] == ("feature_neighbors", "train_feature_neighbors")


def test_refuses_too_few_training_examples(generator):
    with pytest.raises(CannotMeasure, match=r"71 examples are too few .* 0.95 quantile"):
        read(torch.rand(50, generator=generator), torch.rand(71, generator=generator))
