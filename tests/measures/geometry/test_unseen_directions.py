"""Directions that train never takes: planted, projected, and read off trained networks."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from offmap.attempt import CannotMeasure
from offmap.measures.geometry.layer_spans import layer_shares
from offmap.measures.geometry.unseen_directions import unseen_directions
from offmap.numerics.span import span_of, trained
from offmap.run import Domain, Recipe, Split
from offmap.train import trainer

UNSEEN, FLAT = "directions unseen, of all", "coordinates that never vary, of all"
NOISE, OTHERS = (
    f"predictions changed by noise: in {where}" for where in ("unseen directions", "others")
)
SLOPE, FAINT = (
    f"slope of the network: in {where}"
    for where in ("unseen directions", "directions barely taken")
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(*layers, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(*(layer() for layer in layers))


def mlp(d=100, width=40, classes=3):
    return built(lambda: nn.Linear(d, width), nn.ReLU, lambda: nn.Linear(width, classes))


def read(model, inputs, train, targets=None, *, kind="vector", low=None, high=None, **settings):
    targets = torch.arange(len(train)) % 3 if targets is None else targets
    domain = Domain(tuple(train.shape[1:]), train.dtype, low, high, kind)
    return unseen_directions(
        model, Split(inputs, name="test"), Split(train, targets, name="train"), domain,
        generator=seeded(), **settings,
    )  # fmt: skip


@pytest.fixture
def plane(generator):
    """Train and test on a ten-dimensional subspace of R^100, and its basis."""
    basis = torch.linalg.qr(torch.randn(100, 10, generator=generator)).Q
    train, test = (torch.randn(n, 10, generator=generator) @ basis.T for n in (400, 150))
    return train, test, basis


def test_a_network_trained_on_a_subspace(plane, generator):
    """The weights off the subspace are the initial ones; what is added off it is seen as such."""
    train, test, basis = plane
    targets = (train @ basis[:, :3]).argmax(dim=1)
    recipe = Recipe(
        mlp, lambda w: torch.optim.SGD(w, lr=0.1), functional.cross_entropy, epochs=20,
        batch_size=32,
    )  # fmt: skip
    model = trainer(recipe)(Split(train, targets), seeded())
    reading = read(model, test, train, targets)
    assert reading.value == 0
    assert reading.parts[UNSEEN].value == 0.9
    assert reading.parts[FLAT].value == 0
    assert reading.null is not None
    assert reading.null.value == 0

    first = model[0]
    assert isinstance(first, nn.Linear)
    off = torch.eye(100) - basis @ basis.T
    initial = _initial(recipe, Split(train, targets))
    torch.testing.assert_close(first.weight @ off, initial @ off, rtol=1e-5, atol=1e-6)
    whole = torch.cat([first.weight, first.bias[:, None]], dim=1).norm()
    expected = ((first.weight @ off).norm() / whole).item()
    assert reading.parts["0: weights never trained"].value == pytest.approx(expected, rel=1e-3)
    assert reading.parts[SLOPE].low > 0.1  # what initialization left

    noise = torch.randn(150, 100, generator=generator) @ off
    away = read(model, test + noise, train, targets)
    gap, part = (test + noise - train.mean(dim=0)).double(), noise.double()
    rows = part.square().sum(dim=1) / gap.square().sum(dim=1)
    assert away.per_example is not None
    torch.testing.assert_close(away.per_example, rows, rtol=1e-4, atol=0)
    assert away.value == pytest.approx(rows.mean().item(), rel=1e-4)
    assert away.low < rows.mean().item() < away.high


def _initial(recipe, split):
    """First-layer weights with which the recipe starts."""
    none = Recipe(recipe.build, recipe.optimizer, recipe.loss, epochs=0, batch_size=32)
    return trainer(none)(split, seeded())[0].weight


def test_without_the_untrained_part_noise_there_changes_nothing(plane):
    train, test, _ = plane
    model = mlp()
    before = read(model, test, train)
    first = model[0]
    assert isinstance(first, nn.Linear)
    said = model(test).argmax(dim=1)
    with torch.no_grad():
        weight, bias = trained(span_of([train]), first.weight, first.bias)
        first.weight.copy_(weight)
        first.bias.copy_(bias)
    after = read(model, test, train)
    assert torch.equal(model(test).argmax(dim=1), said)
    assert before.parts[NOISE].low > 0.02
    assert after.parts[NOISE].value == 0
    assert after.parts[OTHERS].low > 0.02
    assert after.parts["0: weights never trained"].value < 1e-6
    assert after.parts[SLOPE].value < 1e-9


def test_slope_and_noise_of_a_linear_network_have_closed_forms(plane):
    """Its slope is everywhere the same; noise off the plane moves a sum of squares' worth."""
    train, test, basis = plane
    model = built(lambda: nn.Linear(100, 1))
    weight = model[0].weight.detach().double()
    off = weight - weight @ basis.double() @ basis.double().T
    reading = read(model, test, train, torch.zeros(400, 1))
    share = (off.square().sum() / weight.square().sum()).item()
    assert reading.parts[SLOPE].value == pytest.approx(share, rel=1e-5)
    spread = model(test).detach().double().var(correction=0)
    step = (train - train.mean(dim=0)).square().mean().double()  # of a coordinate
    expected = (step * off.square().sum() / spread).item()
    moved = reading.parts["outputs moved by noise, in their spread: in unseen directions"]
    assert moved.low < expected < moved.high


def test_orders_inside_noisy_and_outside(plane, generator):
    train, test, basis = plane
    off = torch.eye(100) - basis @ basis.T
    noise = torch.randn(150, 100, generator=generator) @ off
    inside, noisy, outside = (
        read(mlp(), x, train) for x in (test, test + 0.3 * noise, 0.1 * test + noise)
    )
    assert inside.high < noisy.low
    assert noisy.high < outside.low


def test_dead_pixels_are_named_and_drawn(generator):
    train = torch.rand(300, 1, 6, 5, generator=generator)
    train[:, :, 0, :2] = 0.0
    train[:, :, 5, 4] = 0.5
    test = train[:40].clone()
    test[0, 0, 0, 1] = 1.0
    model = nn.Sequential(nn.Flatten(), mlp(30))
    reading = read(model, test, train, kind="image", low=0.0, high=1.0)
    assert reading.parts[FLAT].value == pytest.approx(3 / 30)
    assert reading.notes[0] == (
        "In train these numbers of an input never vary: (0, 0, 0), (0, 0, 1), (0, 5, 4)."
    )
    picture, gallery = reading.figures[1:]
    expected = torch.zeros(6, 5).double()
    expected[0, 0] = expected[0, 1] = expected[5, 4] = 1
    torch.testing.assert_close(picture.values, expected)
    assert gallery.rows.tolist() == [[0]]
    assert reading.per_example is not None
    assert (reading.per_example > 0).nonzero().flatten().tolist() == [0]


def test_few_examples_leave_each_other_out(generator):
    """Twenty points in R^30 are off one another's hull: that is the null, not zero."""
    train, test = (
        torch.randn(20, 30, generator=generator),
        torch.randn(200, 30, generator=generator),
    )
    reading = read(mlp(30), test, train, targets=torch.arange(20) % 2)
    assert reading.null is not None
    assert reading.null.value == pytest.approx(reading.value, abs=0.1)
    assert reading.null.value > 0.2


def test_interval_covers_the_truth(generator):
    """Gaussian in R^6 against a train that takes three directions evenly: the share is 1/2."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    train = torch.cat([corners, torch.zeros(8, 3)], dim=1)
    model, covered = mlp(6, width=4), 0
    for _ in range(200):
        reading = read(model, torch.randn(40, 6, generator=generator), train, torch.arange(8) % 2)
        covered += reading.low <= 0.5 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_order_of_examples_place_and_unit_do_not_matter(plane, generator):
    train, test, _ = plane
    test = test + 0.1 * torch.randn(150, 100, generator=generator)
    one = read(mlp(), test, train)
    order = torch.randperm(400, generator=generator)
    other = read(mlp(), 5 * test + 2, 5 * train[order] + 2)
    assert one.per_example is not None
    assert other.per_example is not None
    torch.testing.assert_close(one.per_example, other.per_example, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Conv2d(2, 4, 3, padding=1),
        lambda: nn.Conv2d(2, 4, (3, 2), stride=2, dilation=2, bias=False),
    ],
)
def test_convolutions_read_patches(generator, layer):
    """A channel that copies another: half the directions of the patches are unseen."""
    train = torch.randn(60, 1, 9, 9, generator=generator).expand(60, 2, 9, 9).contiguous()
    model = nn.Sequential(built(layer)[0], nn.Flatten())
    span = span_of([train.flatten(1)])
    found = layer_shares(model, Split(train), Split(train), span, largest=100, generator=generator)
    assert found.inputs["0"].value == 0
    weight = model[0].weight.detach()
    off = (weight[:, 0] - weight[:, 1]).square().sum() / 2
    whole = weight.square().sum() + (0 if model[0].bias is None else model[0].bias.square().sum())
    assert found.weights["0"].value == pytest.approx((off / whole).sqrt().item(), rel=1e-4)
    test = torch.stack([train[:, 0], -train[:, 0]], dim=1)
    away = layer_shares(model, Split(train), Split(test), span, largest=100, generator=generator)
    assert away.inputs["0"].value > 0.95


def test_dead_units_are_unseen_by_the_next_layer(generator):
    model = mlp(8, width=10).eval()
    with torch.no_grad():
        model[0].bias[:4] = -100.0
    train = torch.randn(500, 8, generator=generator)
    reading = read(model, train[:100], train)
    last = model[2]
    expected = last.weight[:, :4].norm() / torch.cat([last.weight, last.bias[:, None]], 1).norm()
    assert reading.parts["2: weights never trained"].value == pytest.approx(expected.item())
    assert reading.parts["0: weights never trained"].value == 0
    assert set(reading.figures[0].values) == {"inputs", "0", "2"}


def test_layers_that_cannot_be_read_are_named(generator):
    train = torch.randn(64, 2, 6, 6, generator=generator)
    model = built(
        lambda: nn.Conv2d(2, 2, 3, groups=2), lambda: nn.Conv2d(2, 2, 3, padding="same"),
        lambda: nn.ConvTranspose2d(2, 2, 3), nn.Flatten, lambda: nn.Linear(72, 50),
        lambda: nn.Linear(50, 3),
    )  # fmt: skip
    notes = " ".join(read(model, train, train, largest=71).notes)
    for name, reason in (("0", "one group"), ("1", "zero padding"), ("2", "ConvTranspose2d")):
        assert f"Layer {name} is left out" in notes
        assert reason in notes
    assert "Layer 4 is left out: 72 dimensions are too many." in notes
    assert "Layer 5 is left out: 64 rows are too few for 50 directions" in notes


def test_in_too_many_dimensions_only_dead_numbers_are_sought(generator):
    train = torch.randn(50, 20, generator=generator)
    train[:, 3] = 0
    reading = read(mlp(20), train[:10], train, largest=10)
    assert reading.parts[UNSEEN].value == 1 / 20
    assert "An input has 20 numbers, too many" in reading.notes[1]
    assert FAINT not in reading.parts
    assert reading.parts[SLOPE].value > 0


class Pixels(nn.Module):
    """Bytes in, two classes out."""

    def forward(self, x):
        x = x.flatten(1).float()
        return torch.stack([x.mean(dim=1), x[:, 0]], dim=1)


def test_whole_numbers_have_no_slope_and_no_small_steps(generator):
    train = torch.randint(256, (100, 1, 3, 3), dtype=torch.uint8, generator=generator)
    train[:, 0, 0, 1] = 7
    reading = read(Pixels(), train[:20], train, kind="image")
    assert reading.parts[FLAT].value == 1 / 9
    assert {SLOPE, NOISE}.isdisjoint(reading.parts)


def test_regression_counts_how_far_outputs_move(plane):
    train, test, _ = plane
    targets = torch.zeros(400, 1)
    reading = read(mlp(classes=1), test, train, targets)
    names = [name for name in reading.parts if "moved by noise" in name]
    assert len(names) == 2
    assert all(reading.parts[name].value > 0 for name in names)


def test_refuses_what_has_no_directions(plane):
    train, test, _ = plane
    with pytest.raises(CannotMeasure, match="token numbers"):
        read(mlp(), test, train, kind="tokens")
    with pytest.raises(CannotMeasure, match="all training inputs are equal"):
        read(mlp(), test, torch.ones(9, 100))
    with pytest.raises(ValueError, match="got 1 and"):
        read(mlp(), test, train, examples=1)
    with pytest.raises(ValueError, match="got 1024 and"):
        read(mlp(), test, train, level=0.0)
    with pytest.raises(ValueError, match="tolerance < 1, got 0"):
        read(mlp(), test, train, tolerance=0.0)
