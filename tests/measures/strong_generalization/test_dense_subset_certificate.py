"""The certificate, against networks and targets whose constants are known."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, RealPredictions, TrainNeighbors
from offmap.measures.strong_generalization.dense_subset_certificate import (
    dense_subset_certificate,
)
from offmap.run import Domain, Split

PERFECT, WRONG = "certified with a perfect network", "of the certified, wrong after all"
NETWORK, DENSITY, TARGET = (f"limited by the {name}" for name in ("network", "density", "target"))
BOUND = "error on all of it, at most"


def searched(queries, bank, k=5, *, own=False):
    k = min(k, len(bank) - own)
    tree = cKDTree(bank.flatten(1).double().numpy())
    found, index = tree.query(queries.flatten(1).double().numpy(), k=list(range(1, k + 1 + own)))
    first = int(own)
    return TrainNeighbors(
        torch.arange(len(queries)), torch.from_numpy(found[:, first:]),
        torch.from_numpy(index[:, first:].astype(np.int64)),
    )  # fmt: skip


def read(model, inputs, train, targets, mine=None, *, seed=0, k=5, domain=None, **settings):
    with torch.no_grad():
        out = model(train)
    kind = RealPredictions if targets.is_floating_point() else ClassPredictions
    return dense_subset_certificate(
        model,
        Split(inputs, mine, name="test"),
        Split(train, targets, name="train"),
        kind(out, targets),
        searched(inputs, train, k),
        searched(train, train, k, own=True),
        domain or Domain(tuple(inputs.shape[1:]), inputs.dtype),
        generator=torch.Generator().manual_seed(seed),
        **settings,
    )


def linear(weight, bias=0.0):
    """A linear network of two classes (or one output) on given weights, in double precision."""
    weight = torch.tensor(weight, dtype=torch.double)
    model = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.double)
    with torch.no_grad():
        model.weight.copy_(weight)
        model.bias.copy_(torch.full_like(model.bias, 0.0))
        model.bias[-1] = bias
    return model.eval()


def two_sided(n, gap=1.0, *, generator):
    """Points of the line outside (-gap, gap), up to 3; class 1 is on the right."""
    x = gap + (3 - gap) * torch.rand(n, 1, dtype=torch.double, generator=generator)
    x[::2] *= -1
    return x, (x[:, 0] > 0).long()


def test_a_linear_classifier_against_the_definition(generator):
    """Every pair by hand: margins and slopes of a linear network are known exactly."""
    train = torch.randn(60, 3, dtype=torch.double, generator=generator)
    inputs = torch.randn(80, 3, dtype=torch.double, generator=generator)
    weight = torch.randn(4, 3, dtype=torch.double, generator=generator)
    targets = (train @ weight.T).argmax(dim=1)
    targets[:6] = (targets[:6] + 1) % 4  # the network gets these wrong
    model = linear(weight.tolist())
    reading = read(model, inputs, train, targets)
    certified, perfect = [], []
    logits = train @ weight.T
    others = torch.cdist(train, train).masked_fill(targets[:, None] == targets, torch.inf)
    for x in inputs:
        near = (train - x).norm(dim=1).argsort()[:3].tolist()
        net, held = [], []
        for i in near:
            rho, y = (train[i] - x).norm(), targets[i]
            slopes = (weight[y] - weight).norm(dim=1)
            net.append(
                all(logits[i, y] - logits[i, j] > slopes[j] * rho for j in range(4) if j != y)
            )
            held.append(bool(rho < others[i].min() / 2))
        certified.append(any(a and b for a, b in zip(net, held, strict=True)))
        perfect.append(any(held))
    assert 0 < sum(certified) < sum(perfect) < 80
    assert reading.per_example is not None
    assert reading.per_example.tolist() == [float(c) for c in certified]
    assert reading.value == sum(certified) / 80
    assert reading.parts[PERFECT].value == sum(perfect) / 80
    shares = [reading.value] + [reading.parts[name].value for name in (NETWORK, DENSITY, TARGET)]
    assert sum(shares) == pytest.approx(1)


def circle(n, generator):
    """Points on three arcs of the circle and on the three between, with gaps; by class."""
    angle = 2 * math.pi * torch.rand(3 * n, generator=generator, dtype=torch.double)
    angle = angle[(3 * angle).sin().abs() > 0.3][:n]
    points = torch.stack([angle.cos(), angle.sin()], dim=1)
    return points.float(), ((3 * angle).sin() > 0).long()


def ball_network(generator, train, targets, width=64):
    """A small trained network; on these data its product of norms is enough."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        d = train.shape[1]
        model = nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Linear(width, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2, weight_decay=0.02)
    for _ in range(300):
        rows = torch.randint(len(train), (256,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train[rows]), targets[rows]).backward()
        optimizer.step()
    return model.eval()


def test_no_violation_on_a_million_points_of_the_circle(generator):
    train, targets = circle(4000, generator)
    model = ball_network(generator, train, targets)
    fresh, truth = circle(10**6, generator)
    reading = read(model, fresh, train, targets, truth, k=3, examples=10**6)
    assert reading.value > 0.9
    assert reading.per_example is not None
    sure = reading.per_example == 1
    with torch.no_grad():
        said = model(fresh).argmax(dim=1)
    assert (said == truth)[sure].all()
    assert reading.parts[WRONG].value == 0
    assert reading.parts[BOUND].value >= 1 - reading.value


def sphere(n, generator):
    """Points of the sphere in two classes, four caps each, with a gap; by class."""
    x = torch.nn.functional.normalize(
        torch.randn(3 * n, 3, dtype=torch.double, generator=generator), dim=1
    )
    product = x.prod(dim=1)
    keep = product.abs() > 0.04
    return x[keep][:n].float(), (product[keep][:n] > 0).long()


def test_no_violation_on_the_sphere_with_local_bounds(generator):
    train, targets = sphere(6000, generator)
    model = ball_network(generator, train, targets)
    fresh, truth = sphere(20_000, generator)
    plain, locally = (
        read(model, fresh, train, targets, truth, k=3, local=most, examples=1500)
        for most in (0, 300)
    )
    assert plain.value < locally.value
    assert plain.per_example is not None
    assert locally.per_example is not None
    assert (locally.per_example >= plain.per_example)[~plain.per_example.isnan()].all()
    sure = locally.per_example == 1
    with torch.no_grad():
        said = model(fresh).argmax(dim=1)
    assert (said == truth)[sure].all()


def test_what_limits_is_told_apart(generator):
    """On the line: a boundary too near, traffic too far, classes that alternate."""
    train, targets = two_sided(200, generator=generator)
    inputs, mine = two_sided(100, generator=generator)
    good = read(linear([[-1.0], [1.0]]), inputs, train, targets, mine)
    assert good.value == 1
    assert good.parts[WRONG].value == 0
    assert good.parts[BOUND].value == pytest.approx(0.08, abs=0.01)

    tight = torch.sign(train) + 0.01 * torch.rand(200, 1, dtype=torch.double, generator=generator)
    near = linear([[-1.0], [1.0]], bias=2 * 0.98)  # decides at -0.98, not at 0
    steep = read(near, torch.full((50, 1), -1.05).double(), tight, targets)
    assert steep.parts[NETWORK].value == 1
    assert "weight decay" in steep.notes[1]
    assert steep.parts["times too steep, where the network limits, median"].value > 1

    far = read(linear([[-1.0], [1.0]]), inputs + 50, train, targets)
    assert far.parts[DENSITY].value == 1
    gallery = far.figures[-1]
    assert len(gallery.rows) == 40
    assert gallery.rows[0, 0] == inputs[:, 0].argmax()
    assert (gallery.rows[:, 1] == train[:, 0].argmax()).all()

    ladder = torch.arange(50, dtype=torch.double)[:, None]
    alternate = read(linear([[-1.0], [1.0]]), ladder + 0.5, ladder, torch.arange(50) % 2)
    assert alternate.parts[TARGET].value == 1
    for reading in (steep, far, alternate):
        assert reading.value == 0
        assert "Vacuous on test" in reading.notes[0]
    for reading, figure in ((good, 2), (far, 3)):
        assert len(reading.figures) == figure


def test_order_more_data_certifies_more(generator):
    inputs, mine = two_sided(300, 0.1, generator=generator)
    values = []
    for n in (4, 20, 4000):
        train, targets = two_sided(n, 0.1, generator=generator)
        values.append(read(linear([[-1.0], [1.0]]), inputs, train, targets, mine))
    assert values[0].high < values[1].low
    assert values[1].high < values[2].low
    assert values[2].value == 1


def test_a_stated_target_constant_is_used(generator):
    train, targets = two_sided(20, generator=generator)
    inputs = train + 0.3
    model = linear([[-100.0], [100.0]])
    for lipschitz, expected in ((1 / 0.31, 1.0), (1 / 0.05, None)):
        reading = read(model, inputs, train, targets, target_lipschitz=lipschitz, k=1)
        nearest = searched(inputs, train, 1).distance[:, 0]
        share = (nearest < 1 / lipschitz).double().mean().item()
        assert reading.parts[PERFECT].value == share
        if expected is not None:
            assert share == expected


def test_interval_covers_the_truth(generator):
    """Two examples on the line: certified is within 1/2 of either, half of [-2, 2]."""
    train, targets = torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([0, 1])
    model, covered = linear([[-1.0], [1.0]]), 0
    with torch.no_grad():
        predictions = ClassPredictions(model(train), targets)
    for _ in range(200):
        inputs = 4 * torch.rand(60, 1, dtype=torch.double, generator=generator) - 2
        reading = dense_subset_certificate(
            model, Split(inputs), Split(train, targets), predictions,
            searched(inputs, train, 2), searched(train, train, 1, own=True),
            Domain((1,), torch.double), reach=0.25, generator=generator,
        )  # fmt: skip
        covered += reading.low <= 0.5 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_bound_on_all_error_holds(generator):
    """Labels that are wrong inside the balls are found, and the bound is above the true error."""
    train, targets = two_sided(100, generator=generator)
    inputs, mine = two_sided(400, generator=generator)
    mine[:40] = 1 - mine[:40]
    reading = read(linear([[-1.0], [1.0]]), inputs, train, targets, mine)
    assert reading.parts[WRONG].value == pytest.approx(0.1, abs=0.01)
    assert reading.parts[BOUND].value > 0.1


def test_regression_is_certified_where_the_error_is_bounded(generator):
    """f = 2x with an error of 0.1, target 2x: (2 + 2) rho + 0.1, against the spread."""
    train = 4 * torch.rand(300, 1, dtype=torch.double, generator=generator) - 2
    inputs = 6 * torch.rand(200, 1, dtype=torch.double, generator=generator) - 3
    model = linear([[2.0]], bias=0.1)
    reading = read(model, inputs, train, 2 * train, tolerance=0.2)
    spread = (2 * train).std(correction=0).item()
    rho = (inputs - train.T).abs().amin(dim=1)
    expected = 4 * rho + 0.1 <= 0.2 * spread
    assert reading.per_example is not None
    assert reading.per_example.bool().tolist() == expected.tolist()
    assert 0.3 < reading.value < 0.9
    assert reading.parts["slope of the target"].value == pytest.approx(2)
    assert reading.parts["bound on the network's slope"].value == pytest.approx(2)
    # a steeper network is what limits there; far away it is the density
    steep = read(linear([[40.0]]), inputs[rho < 0.01], train, 2 * train, tolerance=0.2)
    assert steep.parts[NETWORK].value + steep.parts[TARGET].value == 1
    far = read(model, inputs + 100, train, 2 * train, tolerance=0.2)
    assert far.parts[DENSITY].value == 1
    known = read(model, inputs, train, 2 * train, tolerance=0.2, target_lipschitz=400.0)
    assert known.value < reading.value


def test_noise_in_a_regression_is_a_steep_target(generator):
    train = torch.rand(300, 1, dtype=torch.double, generator=generator)
    noise = torch.randn(300, 1, dtype=torch.double, generator=generator)
    reading = read(linear([[0.0]]), train + 1e-4, train, noise)
    assert reading.parts[TARGET].value > 0.9
    with pytest.raises(CannotMeasure, match="all training targets are equal"):
        read(linear([[0.0]]), train, train, torch.ones(300, 1).double())


def test_order_of_examples_names_of_classes_and_units_do_not_matter(generator):
    train, targets = circle(300, generator)
    model = ball_network(generator, train, targets)
    inputs, mine = circle(200, generator)
    one = read(model, inputs, train, targets, mine)
    order = torch.randperm(300, generator=generator)
    other = read(model, inputs, train[order], targets[order], mine)
    assert other.value == one.value
    last = model[2]
    with torch.no_grad():  # other names, another level of all logits, another scale of them
        last.weight.copy_(3 * last.weight.flip(0))
        last.bias.copy_(3 * last.bias.flip(0) + 7)
    again = read(model, inputs, train, 1 - targets, 1 - mine)
    assert again.value == one.value
    assert again.parts[NETWORK].value == one.parts[NETWORK].value


def test_traffic_without_targets_and_a_sample_of_it(generator):
    train, targets = two_sided(100, generator=generator)
    inputs, _ = two_sided(90, generator=generator)
    reading = read(linear([[-1.0], [1.0]]), inputs, train, targets, examples=30)
    assert {WRONG, BOUND}.isdisjoint(reading.parts)
    assert reading.estimate.n == 30
    assert reading.per_example is not None
    assert int((~reading.per_example.isnan()).sum()) == 30


def test_a_network_without_a_bound_is_refused_by_name(generator):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cat([x.cumsum(dim=1), -x], dim=1)

    train, targets = two_sided(20, generator=generator)
    with pytest.raises(CannotMeasure, match="no bound on the network is known"):
        read(Odd(), train, train, targets)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_lipschitz": -1.0}, {"reach": 0.0}, {"reach": 1.5}, {"tolerance": 0.0},
        {"examples": 0}, {"local": -1},
    ],
)  # fmt: skip
def test_refuses_settings_that_say_nothing(generator, settings):
    train, targets = two_sided(20, generator=generator)
    with pytest.raises(ValueError, match="expected target_lipschitz >= 0"):
        read(linear([[-1.0], [1.0]]), train, train, targets, **settings)


def test_cells_of_the_box_bound_the_error(generator):
    """Classes 2 apart: cells that are 1 wide, of which [-3, 3] needs more than six."""
    train, targets = two_sided(5000, gap=1.0, generator=generator)
    inputs, mine = two_sided(100, gap=1.0, generator=generator)
    model = linear([[-1.0], [1.0]])
    assert not any("cells" in name for name in read(model, inputs, train, targets, mine).parts)
    box = Domain((1,), torch.double, -3.0, 3.0)
    parts = read(model, inputs, train, targets, mine, domain=box).parts
    radius = parts["radius within which the target is taken not to, median"].value
    cells = math.floor(6 / radius * (1 + 1e-12)) + 1
    assert 10 ** parts["log10 cells in which the target does not change"].value == pytest.approx(
        cells
    )
    bound = math.sqrt((2 * cells * math.log(2) + 2 * math.log(20)) / 5000)
    assert parts["error beyond that on train, by cells, at most"].value == pytest.approx(bound)
    far = read(model, inputs, train, targets, mine, domain=Domain((1,), torch.double, -1e9, 1e9))
    assert far.parts["error beyond that on train, by cells, at most"].value == 1.0  # vacuous
