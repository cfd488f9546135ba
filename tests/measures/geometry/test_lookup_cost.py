"""Covering the inputs by examples: arithmetic, coverage of the radius, what more data reaches."""

import math

import pytest
import torch

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.measures.geometry import lookup_cost as module
from offmap.measures.geometry.lookup_cost import lookup_cost
from offmap.numerics.neighbors import search
from offmap.run import Domain, Split

LARGEST, EUCLIDEAN = "radius, largest coordinate", "radius, Euclidean"
OWN = "log10 examples that cover 95% of the data's own law"
UNIT = Domain((2,), torch.float32, 0.0, 1.0)


def read(inputs, targets, generator, domain=UNIT, **settings):
    rows = torch.arange(len(inputs))
    found = search(inputs, inputs, k=min(20, len(inputs) - 1), exclude=rows)
    near = TrainNeighbors(rows, found.distance, found.index)
    return lookup_cost(Split(inputs, targets), near, domain, generator=generator, **settings)


def stripes(n, generator, d=2, gap=0.5):
    """Two classes: below and above, `gap` apart in the first coordinate."""
    inputs = torch.rand(n, d, generator=generator)
    targets = (torch.arange(n) % 2).long()
    inputs[:, 0] = inputs[:, 0] * (0.5 - gap / 2) + targets * (0.5 + gap / 2)
    return inputs, targets


def test_by_hand(generator):
    """Two sites 0.5 and 0.2 apart, ten examples at each: labels reach 0.25, or half of 0.539."""
    sites = torch.tensor([[0.0, 0.0], [0.5, 0.2]])
    targets = torch.arange(20) % 2
    reading = read(sites[targets], targets, generator)
    assert reading.parts[LARGEST].value == 0.25
    assert reading.parts[EUCLIDEAN].value == pytest.approx(math.hypot(0.5, 0.2) / 2)
    assert reading.value == pytest.approx(2 * math.log10(3))  # floor(1 / 0.5) + 1 on each side
    assert reading.null.value == pytest.approx(math.log10(20))
    assert OWN not in reading.parts  # copies have no dimension
    assert reading.notes[0].startswith("A table with one entry near every input needs 10^0.954")


def test_many_numbers_make_it_a_power(generator):
    inputs, targets = stripes(300, generator, d=64)
    reading = read(inputs, targets, generator, radius=0.219)
    assert reading.value == pytest.approx(64 * math.log10(3))
    assert reading.value == reading.low == reading.high
    assert reading.figures[0].series["to cover the box"][20] == pytest.approx(reading.value)
    assert bool((reading.figures[0].series["at hand"] == math.log10(300)).all())


def test_an_open_domain_is_the_box_of_the_examples(generator):
    inputs = torch.tensor([[0.0, 5.0, 1.0], [4.0, 5.0, 3.0]]).repeat(10, 1)
    reading = read(inputs, None, generator, Domain((3,), torch.float32), radius=0.75)
    # sides 4, 0 and 2 in intervals of 1.5
    assert reading.value == pytest.approx(math.log10(3 * 1 * 2))


def test_the_radius_is_that_of_brute_force(generator):
    inputs, targets = stripes(200, generator)
    reading = read(inputs, targets, generator)
    apart = (inputs[:, None] - inputs).abs()
    other = targets[:, None] != targets
    for name, distance in ((LARGEST, apart.amax(dim=2)), (EUCLIDEAN, apart.norm(dim=2))):
        half = (distance.masked_fill(~other, torch.inf).amin(dim=1) / 2).sort().values
        assert reading.parts[name].value == pytest.approx(half[99].item(), rel=1e-5)


def test_the_cost_of_the_own_law_is_what_more_data_reaches(generator):
    """On a flat sheet in 20 numbers: as many examples as said bring 95 % within the radius."""
    turn = torch.linalg.qr(torch.randn(20, 2, generator=generator)).Q

    def draw(n):
        return torch.rand(n, 2, generator=generator) @ turn.T

    train = draw(1000)
    targets = torch.arange(1000) % 2
    reading = read(train, targets, generator, Domain((20,), torch.float32), radius=0.02)
    part = reading.parts[OWN]
    assert 3 < part.low < part.value < part.high < 4.2
    for number, good in ((part.low, False), (part.high, True)):
        reached = search(draw(2000), draw(round(10**number)), k=1).distance[:, 0]
        assert (reached.quantile(0.95).item() < 0.02) is good
    assert reading.value > 10  # the box around the sheet is another matter


def test_interval_of_the_radius_covers_the_truth(generator):
    """Of the median over many samples of the same size."""
    halves = []
    for _ in range(1000):
        inputs, targets = stripes(60, generator, gap=0.1)
        apart = (inputs[targets == 0, None] - inputs[targets == 1]).abs().amax(dim=2)
        halves += [apart.amin(dim=0), apart.amin(dim=1)]
    truth = torch.cat(halves).median().item() / 2
    covered = 0
    for _ in range(200):
        part = read(*stripes(60, generator, gap=0.1), generator).parts[LARGEST]
        covered += part.low <= truth <= part.high
    assert 0.90 <= covered / 200 <= 0.99


def test_orders_classes_far_apart_near_and_mixed(generator):
    readings = [read(*stripes(400, generator, gap=gap), generator) for gap in (0.9, 0.3, -1.0)]
    costs = [reading.estimate for reading in readings]
    assert costs[0].high < costs[1].low <= costs[1].high < costs[2].low


def test_invariant_to_order_and_unit(generator):
    inputs, targets = stripes(150, generator)
    order = torch.randperm(150, generator=generator)
    one = read(inputs, targets, generator)
    wide = Domain((2,), torch.float32, 0.0, 8.0)
    other = read(8 * inputs[order], 1 - targets[order], generator, wide)
    assert other.estimate == one.estimate
    assert other.parts[OWN].value == pytest.approx(one.parts[OWN].value)


def test_a_sample_reaches_no_less_far_than_all(generator):
    inputs, targets = stripes(600, generator)
    whole, some = (read(inputs, targets, generator, examples=n) for n in (600, 60))
    assert whole.parts[LARGEST].value < some.parts[LARGEST].value
    assert whole.low >= some.low


def test_far_from_the_origin_distances_are_the_same(generator):
    inputs, targets = stripes(150, generator)
    one = read(inputs.double(), targets, generator)
    other = read(inputs.double() + 1e8, targets, generator)
    for name in (LARGEST, EUCLIDEAN):
        assert other.parts[name].value == pytest.approx(one.parts[name].value, rel=1e-5)


def test_long_inputs_are_compared_in_smaller_numbers(generator, monkeypatch):
    inputs, targets = stripes(400, generator)
    monkeypatch.setattr(module, "OPERATIONS", 2 * 150**2)
    assert read(inputs, targets, generator).parts[LARGEST].n == 150


def test_pictures_of_bytes_are_read(generator):
    inputs = torch.randint(256, (100, 1, 2, 2), generator=generator).to(torch.uint8)
    reading = read(
        inputs, torch.arange(100) % 2, generator, Domain((1, 2, 2), torch.uint8, 0, 255, "image")
    )
    assert 0 < reading.parts[LARGEST].value < 128


def test_refuses_what_has_no_reach(generator):
    inputs, targets = stripes(100, generator)
    with pytest.raises(CannotMeasure, match=r"needs classes: set lookup_cost.radius"):
        read(inputs, None, generator)
    with pytest.raises(CannotMeasure, match="needs classes"):
        read(inputs, torch.rand(100, 1, generator=generator), generator)
    with pytest.raises(CannotMeasure, match="all training examples have one class"):
        read(inputs, torch.zeros(100, dtype=torch.long), generator)
    with pytest.raises(CannotMeasure, match="a label reaches nowhere"):
        read(torch.zeros(100, 2), targets, generator)
    with pytest.raises(ValueError, match=r"radius >= 0 and examples >= 10, got -1.0 and 1000"):
        read(inputs, targets, generator, radius=-1.0)
    with pytest.raises(ValueError, match=r"got 0.0 and 5"):
        read(inputs, targets, generator, examples=5)
