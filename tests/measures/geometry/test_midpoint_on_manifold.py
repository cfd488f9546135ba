"""Midpoints on curved and flat data, and what a known network says of them."""

import math

import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import special_ortho_group
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.figures import Bars
from offmap.inputs import ClassPredictions, Layers, TrainNeighbors
from offmap.measures.geometry.midpoint_on_manifold import OTHER, SAME, _pairs, midpoint_on_manifold
from offmap.run import Split

FIGURES = {
    kind: f"Midpoints of {kind}, by layer: distance to a sample of train" for kind in (SAME, OTHER)
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


class Angle(nn.Module):
    """A layer that passes the input on, one that unrolls the circle, and a head."""

    def __init__(self, unit=1.0):
        super().__init__()
        self.same, self.unroll = nn.Linear(2, 2, bias=False), nn.Linear(1, 1, bias=False)
        self.head, self.unit = nn.Linear(1, 2), unit
        with torch.no_grad():
            self.same.weight.copy_(torch.eye(2))
            self.unroll.weight.fill_(1.0)
            self.head.weight.copy_(torch.tensor([[0.7], [-0.4]]))
            self.head.bias.copy_(torch.tensor([0.2, -0.1]))
        self.double()

    def forward(self, x):
        x = self.same(x / self.unit)
        return self.head(self.unroll(torch.atan2(x[:, 1:], x[:, :1]))).tanh()


class Sides(nn.Module):
    """Class 0 is left and right, class 1 in the middle."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.double()

    def forward(self, x):
        return torch.stack([x[:, 0].abs() - 0.5, 0.5 - x[:, 0].abs()], dim=1) + 0 * self.layer(x)


def read(train, test, targets, model=None, *, seed=0, rows=None, **settings):
    model = model or Angle()
    train, test = Split(train, name="train"), Split(test, targets, name="test")
    nearest, index = (torch.from_numpy(cdist(test.inputs, train.inputs))).min(dim=1)
    neighbors = TrainNeighbors(torch.arange(len(test)), nearest[:, None], index[:, None])
    with torch.no_grad():
        predictions = ClassPredictions(model(test.inputs), targets)
    return midpoint_on_manifold(
        model, train, test, predictions, neighbors,
        Layers(model, test, torch.arange(len(test)) if rows is None else rows),
        Layers(model, train, torch.arange(len(train))),
        generator=seeded(seed), **settings,
    )  # fmt: skip


def circle(n, generator):
    angles = 2 * math.pi * torch.rand(n, generator=generator, dtype=torch.double)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def halves(n):
    """Two classes that have nothing to do with the inputs."""
    return torch.arange(n) % 2


def test_chords_of_a_circle():
    """The midpoint of a chord of angle t lies 1 - cos(t / 2) off: 1 - 2 / pi on average."""
    train, test = circle(3000, seeded(0)), circle(400, seeded(1))
    reading = read(train, test, halves(400), pairs=1000)
    ends = torch.from_numpy(cdist(test, train)).amin(dim=1).mean()
    spread = math.sqrt(0.5 - (2 / math.pi) ** 2)  # of cos(t / 2), t uniform up to pi
    assert reading.value * ends == pytest.approx(1 - 2 / math.pi, abs=4 * spread / math.sqrt(200))
    assert reading.null.value == 1
    assert reading.low < reading.value < reading.high


def test_a_layer_that_unrolls_the_circle_brings_midpoints_home():
    reading = read(circle(900, seeded(0)), circle(600, seeded(1)), halves(600), pairs=300)
    bars = {f.title: f.values for f in reading.figures if isinstance(f, Bars)}[FIGURES[SAME]]
    assert list(bars) == ["inputs", "same", "unroll", "head"]
    assert bars["inputs"].low > 20
    assert bars["same"].value == pytest.approx(bars["inputs"].value)
    assert bars["unroll"].low < 1.1 and bars["unroll"].high > 0.75  # 1 but for the two ends
    assert bars["inputs"].value == pytest.approx(reading.value)  # the sample is all of train


def test_orders_full_and_hollow_data():
    """In a square the inside is full, in five dimensions of noise fuller; on a sphere it is not."""
    values = {}
    for name, draw in {
        "square": lambda n, g: torch.rand(n, 2, generator=g, dtype=torch.double),
        "circle": circle,
        "noise": lambda n, g: torch.randn(n, 5, generator=g, dtype=torch.double),
    }.items():
        model = nn.Sequential(nn.Linear(5 if name == "noise" else 2, 2)).double()
        values[name] = read(draw(800, seeded(0)), draw(400, seeded(1)), halves(400), model)
    assert values["square"].low < 1 and values["square"].high > 0.85
    assert values["noise"].high < 1
    assert values["circle"].low > 10


def test_classes_apart_have_midpoints_apart():
    """Two clouds: halfway within one is inside it, halfway between them is nowhere."""
    generator = seeded(0)
    where = halves(1200)
    points = torch.randn(1200, 2, generator=generator, dtype=torch.double) + 20.0 * where[:, None]
    reading = read(points[:800], points[800:], where[800:])
    assert reading.high < 1.1
    assert reading.parts[f"{OTHER}: distance of midpoints"].low > 20


def test_what_the_network_says_halfway():
    """Class 0 lies left and right: half of its midpoints fall on class 1, surely."""
    generator = seeded(0)
    targets = torch.arange(800) % 2
    side = 2.0 * torch.randint(0, 2, (800,), generator=generator) - 1
    x = torch.where(targets == 0, 1.5 * side, 0.0)
    points = torch.stack([x, torch.rand(800, generator=generator)], dim=1).double()
    reading = read(points, points + 0.01, targets, Sides(), pairs=1000)
    kept = reading.parts[f"{SAME}: midpoints that keep a class of the ends"]
    assert kept.n == 400
    assert kept.value == pytest.approx(0.75, abs=4 * math.sqrt(0.25 / 400))
    assert reading.parts[f"{OTHER}: midpoints that keep a class of the ends"].value == 1
    at_ends = torch.tensor([1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(-1.0))]).mean().item()
    ends = reading.parts[f"{SAME}: confidence at the ends"]
    assert ends.value == pytest.approx(at_ends, abs=0.01)
    middle = reading.parts[f"{OTHER}: confidence at midpoints"]
    assert middle.value == pytest.approx(1 / (1 + math.exp(-0.5)), abs=0.01)  # at 0.75
    gallery = reading.figures[-1]
    assert bool((points[gallery.rows[:, 0], 0] * points[gallery.rows[:, 1], 0] < 0).all())
    assert gallery.captions[0] == "class 0, halfway 1 (0.73)"


def test_interval_covers_the_truth():
    """Train is given: the law of the ratio is over the pairs."""
    train = circle(100, seeded(0))
    sample = circle(40_000, seeded(1))
    middle = (sample[::2] + sample[1::2]) / 2
    ends, halfway = (torch.from_numpy(cdist(x, train)).amin(dim=1).mean() for x in (sample, middle))
    truth = (halfway / ends).item()
    covered = 0
    model = nn.Sequential(nn.Linear(2, 2)).double()
    for seed in range(200):
        reading = read(train, circle(120, seeded(seed + 2)), halves(120), model, seed=seed)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_invariant_to_rotation_and_unit():
    train, test = circle(300, seeded(0)), circle(200, seeded(1))
    turn = torch.from_numpy(special_ortho_group(2, seed=1).rvs())
    one = read(train, test, halves(200))
    other = read(8 * train @ turn, 8 * test @ turn, halves(200), Angle(8.0))
    assert other.value == pytest.approx(one.value)
    assert (other.low, other.high) == pytest.approx((one.low, one.high))


def test_pairs_are_disjoint_and_of_their_kind(generator):
    targets = torch.tensor([0] * 31 + [1] * 40 + [7] * 1 + [5] * 28)[
        torch.randperm(100, generator=generator)
    ]
    found = _pairs(targets, 1000, generator)
    assert len(found[SAME]) == 15 + 20 + 14
    for kind, pairs in found.items():
        assert len(pairs.flatten().unique()) == pairs.numel()
        assert bool(((targets[pairs[:, 0]] == targets[pairs[:, 1]]) == (kind == SAME)).all())
    few = _pairs(targets, 12, generator)
    assert len(few[SAME]) == len(few[OTHER]) == 12
    assert len(targets[few[SAME][:, 0]].unique()) > 1  # not the first class alone


def test_ends_come_from_the_sample_of_the_layers():
    train, test = circle(300, seeded(0)), circle(200, seeded(1))
    test[100:] = torch.nan  # never looked at
    train_rows = torch.arange(100)
    clean = read(train, test[:100], halves(100))
    with pytest.raises(ValueError, match="finite"):
        read(train, test, halves(200))
    targets = halves(200)
    model = Angle()
    split = Split(test, targets, name="test")
    nearest = torch.from_numpy(cdist(test[:100], train)).min(dim=1)
    neighbors = TrainNeighbors(train_rows, nearest.values[:, None], nearest.indices[:, None])
    with torch.no_grad():
        predictions = ClassPredictions(model(test), targets)
    reading = midpoint_on_manifold(
        model, Split(train, name="train"), split, predictions, neighbors,
        Layers(model, split, train_rows), Layers(model, Split(train), torch.arange(300)),
        generator=seeded(0),
    )  # fmt: skip
    assert reading.value == clean.value


def test_refuses_what_has_no_midpoints():
    train, test = circle(100, seeded(0)), circle(100, seeded(1))
    with pytest.raises(CannotMeasure, match="needs 10 pairs of different classes, got 0"):
        read(train, test, torch.zeros(100, dtype=torch.long))
    with pytest.raises(CannotMeasure, match="needs 10 pairs of same class, got 0"):
        read(train, test, torch.arange(100), nn.Linear(2, 100).double())
    with pytest.raises(CannotMeasure, match="test repeats train"):
        read(train, train, halves(100))
    with pytest.raises(CannotMeasure, match=r"whole numbers \(torch.int64\) have no midpoint"):
        whole = Split((100 * test).long(), halves(100), name="test")
        model, split = Angle(), Split(train, name="train")
        neighbors = TrainNeighbors(
            torch.zeros(1).long(), torch.zeros(1, 1).double(), torch.zeros(1, 1).long()
        )
        said = ClassPredictions(torch.zeros(100, 2), halves(100))
        layers = Layers(model, split, torch.arange(100))
        midpoint_on_manifold(
            model, split, whole, said, neighbors, layers, layers, generator=seeded(0)
        )
    with pytest.raises(ValueError, match="expected pairs >= 10, got 9"):
        read(train, test, halves(100), pairs=9)
