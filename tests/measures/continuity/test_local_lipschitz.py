"""Distances at which answers change, on networks where they are known."""

import math

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measures.continuity.local_lipschitz import local_lipschitz
from offmap.numerics.lipschitz import flip_distance
from offmap.run import Split


def linear(weights, bias=None):
    model = nn.Linear(weights.shape[1], weights.shape[0], dtype=torch.double)
    with torch.no_grad():
        model.weight.copy_(weights)
        model.bias.copy_(torch.zeros(len(weights)) if bias is None else bias)
    return model


def neighbors(points, bank, *, own=False):
    distance = torch.cdist(points.flatten(1).double(), bank.flatten(1).double())
    if own:
        distance.fill_diagonal_(math.inf)
    found = distance.sort(dim=1)
    return TrainNeighbors(torch.arange(len(points)), found.values[:, :3], found.indices[:, :3])


def read(model, inputs, *, train=None, labels=None, seed=0, **settings):
    train = inputs if train is None else train
    labels = torch.arange(len(train)) % 2 if labels is None else labels
    with torch.no_grad():
        logits = model(inputs)
    targets = logits.argmax(dim=1)
    return local_lipschitz(
        model, Split(train, labels), Split(inputs, targets), ClassPredictions(logits, targets),
        neighbors(inputs, train), neighbors(train, train, own=True),
        generator=torch.Generator().manual_seed(seed), **settings,
    )  # fmt: skip


def normal(count, dimension, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimension, dtype=torch.double, generator=generator)


EVERY = {"examples": 1000, "proofs": 1000}


def test_of_a_linear_network_everything_is_known():
    weights, inputs = normal(4, 5, seed=1), normal(101, 5)
    reading = read(linear(weights), inputs, **EVERY)
    scores = inputs @ weights.T
    gap = scores.amax(dim=1, keepdim=True) - scores
    apart = torch.cdist(weights, weights)[scores.argmax(dim=1)]
    truth = (gap / apart).nan_to_num(math.inf).amin(dim=1)
    far = 2 * inputs.norm(dim=1).max()
    torch.testing.assert_close(reading.per_example, truth.clamp_max(far), rtol=1e-4, atol=1e-8)
    for part in ("found", "proved", "margin over slope"):
        value = reading.parts[f"{part}, median"].value
        assert value == pytest.approx(truth.median().item(), rel=1e-3)
    norm = torch.linalg.matrix_norm(weights, 2).item()
    rates = reading.figures[0].values
    assert [rate.value for rate in rates.values()] == pytest.approx([norm] * 5, rel=1e-7)
    assert list(rates)[3:] == ["exact, everywhere", "proved everywhere"]
    assert reading.estimate.method == "bound"


def test_the_interval_runs_from_what_is_proved_to_what_is_found():
    """Two opposite neurons: the product of norms sees a slope of 2 where there is one of 1."""
    model = nn.Sequential(linear(torch.tensor([[1.0], [-1.0]])), nn.ReLU(),
                          linear(torch.tensor([[1.0, -1.0], [0.0, 0.0]])))  # fmt: skip
    inputs = normal(200, 1)
    truth = inputs.abs().median().item()
    loose = read(model, inputs, balls=0, **EVERY)  # f0 - f1 = x, bounded by sqrt(2) sqrt(2) |x|
    assert loose.value == pytest.approx(truth, rel=1e-3)
    assert loose.parts["proved, median"].value == pytest.approx(truth / 2, rel=1e-3)
    assert loose.low == loose.parts["proved, median"].low
    assert loose.high == loose.parts["found, median"].high
    tight = read(model, inputs, balls=6, **EVERY)
    assert truth / 2 < tight.parts["proved, median"].value <= truth * (1 + 1e-6)


def test_rates_are_in_order_on_a_network_that_bends(generator):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)
        ).double()
    reading = read(model, normal(60, 3), radius=1.0, examples=60, proofs=60)
    lower, found, local, exact, proved = [r.value for r in reading.figures[0].values.values()]
    assert lower <= found < local < proved
    assert found < exact < proved
    curve = reading.figures[1]
    assert (curve.series["proved not to change"] <= curve.series["not changed by the search"]).all()
    assert reading.parts["proved, median"].value < reading.value


def test_orders_robust_middling_and_fragile_networks():
    """The same answers on the data, which never move along the second axis."""
    inputs = normal(200, 2) * torch.tensor([1.0, 0.0], dtype=torch.double)
    robust, middle, fragile = (
        read(linear(torch.tensor([[0.0, 0.0], [1.0, k]])), inputs, **EVERY) for k in (0.0, 2.0, 9.0)
    )
    assert fragile.high < middle.low < middle.high < robust.low
    truth = inputs[:, 0].abs().median().item()
    assert middle.value == pytest.approx(truth / math.sqrt(5), rel=1e-3)
    assert fragile.value == pytest.approx(truth / math.sqrt(82), rel=1e-3)


def test_the_null_is_the_distance_for_the_nearest_class_mean():
    train, labels = normal(40, 3, seed=2), torch.arange(40) % 4
    train[:, 0] += 3 * labels
    inputs = normal(50, 3, seed=3)
    inputs[:, 0] += torch.arange(50) % 10
    reading = read(linear(normal(4, 3)), inputs, train=train, labels=labels, **EVERY)
    means = torch.stack([train[labels == label].mean(dim=0) for label in range(4)])
    same = linear(means, -means.square().sum(dim=1) / 2)  # as a linear network
    truth = flip_distance(same, inputs).median().item()
    assert reading.null.value == pytest.approx(truth, rel=1e-3)


def test_interval_covers_the_truth():
    """|x| for x ~ N(0, 1), whose median is 0.6745."""
    model = linear(torch.tensor([[0.0], [1.0]]))
    covered = 0
    for seed in range(200):
        reading = read(model, normal(24, 1, seed=seed), balls=0)
        covered += reading.low <= 0.67449 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_classes_rows_and_scale_of_the_logits_do_not_matter():
    weights, inputs = normal(3, 4, seed=5), normal(40, 4)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    one = read(linear(weights), inputs, **EVERY)
    for other in (
        read(linear(weights.flip(0)), inputs, **EVERY),
        read(linear(10 * weights), inputs, **EVERY),
        read(linear(weights, torch.full((3,), 7.0)), inputs, **EVERY),
        read(linear(weights), inputs[order], labels=(torch.arange(40) % 2)[order], **EVERY),
    ):
        for name in ("found, median", "proved, median", "margin over slope, median"):
            assert other.parts[name].value == pytest.approx(one.parts[name].value, rel=1e-4)
        assert other.null.value == pytest.approx(one.null.value)
    steeper = read(linear(10 * weights), inputs, **EVERY).parts["proved everywhere"].value
    assert steeper == pytest.approx(10 * one.parts["proved everywhere"].value)


def test_looks_at_a_sample():
    reading = read(linear(normal(3, 4)), normal(50, 4), examples=20, proofs=7)
    assert int(reading.per_example.isfinite().sum()) == 20
    assert reading.estimate.n == 20
    assert reading.parts["proved, median"].n == 7
    row = int(reading.per_example.nan_to_num(math.inf).argmin())
    assert f"row {row} of split" in reading.notes[-1]


def test_layers_without_a_bound_leave_what_was_found():
    model = nn.Sequential(linear(normal(6, 4)), nn.LayerNorm(6), linear(normal(3, 6))).double()
    reading = read(model, normal(50, 4), examples=50)
    assert "Nothing is proved" in reading.notes[0]
    assert "LayerNorm at '1'" in reading.notes[0]
    assert reading.low == 0 < reading.value
    assert len(reading.figures[0].values) == 2
    assert reading.parts["proved, median"].value == 0


def test_an_answer_that_never_changes_is_said():
    model = linear(torch.zeros(2, 3), torch.tensor([0.0, 1.0]))
    inputs = normal(30, 3)
    reading = read(model, inputs, examples=30)
    far = 2 * inputs.norm(dim=1).max().item()
    assert reading.value == pytest.approx(far)
    assert reading.notes[-1] == f"30 of 30 examples kept their answer as far as {far:.3g}."


def test_many_classes_are_bounded_by_the_norms_alone():
    reading = read(linear(normal(70, 3)), normal(12, 3), examples=12, proofs=12)
    assert list(reading.figures[0].values) == [
        "at the example, median", "exact, everywhere", "proved everywhere",
    ]  # fmt: skip
    assert 0 < reading.parts["proved, median"].value <= reading.value


def test_refuses_what_it_cannot_read():
    model, inputs = linear(torch.tensor([[0.0], [1.0]])), normal(10, 1)
    for wrong in ({"examples": 5}, {"proofs": 2}, {"radius": -1.0}, {"balls": -1}):
        with pytest.raises(ValueError, match="expected examples and proofs >= 6"):
            read(model, inputs, **wrong)
    with pytest.raises(CannotMeasure, match="a median needs 6 examples, got 3"):
        read(model, inputs[:3])
    with pytest.raises(CannotMeasure, match="all training examples are of class 0"):
        read(model, inputs, labels=torch.zeros(10, dtype=torch.long))

    class Table(nn.Module):
        def forward(self, x):
            return torch.nn.functional.one_hot(x[:, 0], 2).double()

    whole = torch.arange(10)[:, None] % 2
    with pytest.raises(CannotMeasure, match=r"whole numbers \(torch.int64\)"):
        read(Table(), whole)
