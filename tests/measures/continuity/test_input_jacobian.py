"""Slopes of a network at its inputs, against closed forms and finite differences."""

import math

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, RealPredictions
from offmap.measures.continuity.input_jacobian import input_jacobian, jacobian_norms
from offmap.run import Split


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def read(model, split, *, classes=True, seed=0, **settings):
    rows = jacobian_norms(model, split, generator=seeded(seed))
    with torch.no_grad():
        out = model(split.inputs)
    kind = ClassPredictions if classes else RealPredictions
    predictions = kind(out, split.targets)
    return input_jacobian(model, split, predictions, rows, generator=seeded(seed + 1), **settings)


def linear(weights):
    model = nn.Linear(weights.shape[1], weights.shape[0], bias=False, dtype=torch.double)
    with torch.no_grad():
        model.weight.copy_(weights)
    return model


def test_linear_softmax_has_a_closed_form(generator):
    """The Jacobian is (diag p - p p') W; more rows than one batch."""
    weights = torch.randn(5, 7, dtype=torch.double, generator=generator)
    inputs = torch.randn(300, 7, dtype=torch.double, generator=generator)
    p = (inputs @ weights.T).softmax(dim=1)
    jacobians = (torch.diag_embed(p) - p[:, :, None] * p[:, None]) @ weights
    split = Split(inputs, torch.zeros(300, dtype=torch.long))
    found = jacobian_norms(linear(weights), split, generator=generator)
    torch.testing.assert_close(
        found[:, 0], torch.linalg.matrix_norm(jacobians), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(found[:, 1], inputs.norm(dim=1))


def test_a_convolutional_network_against_finite_differences(generator):
    """In evaluation mode: batch normalization by its running statistics, no dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(12, 3),
        ).double()  # fmt: skip
    inputs = torch.randn(3, 1, 4, 4, dtype=torch.double, generator=generator)
    found = jacobian_norms(model, Split(inputs, torch.tensor([0, 1, 2])), generator=generator)
    assert all(module.training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())
    model.eval()
    square = torch.zeros(3, dtype=torch.double)
    step = torch.eye(16, dtype=torch.double).view(16, 1, 1, 4, 4) * 1e-5
    with torch.no_grad():
        for one in step:
            ahead, behind = (model(inputs + sign * one).softmax(dim=1) for sign in (1, -1))
            square += ((ahead - behind) / 2e-5).square().sum(dim=1)
    torch.testing.assert_close(found[:, 0], square.sqrt(), rtol=1e-7, atol=0)


def test_regression_is_read_on_the_outputs(generator):
    weights = torch.randn(2, 4, dtype=torch.double, generator=generator)
    split = Split(torch.randn(9, 4, dtype=torch.double), torch.randn(9, 2, dtype=torch.double))
    reading = read(linear(weights), split, classes=False)
    assert reading.value == pytest.approx(float(weights.norm()))
    assert reading.null.value == pytest.approx(float(weights.norm()))
    assert set(reading.parts) == {"times the size of the input", "median"}


def test_many_outputs_are_estimated_without_bias(generator):
    weights = torch.randn(60, 8, dtype=torch.double, generator=generator) / 4
    inputs = torch.randn(1, 8, dtype=torch.double, generator=generator).expand(400, 8)
    split = Split(inputs.contiguous(), torch.zeros(400, dtype=torch.long))
    model = linear(weights)
    truth = jacobian_norms(model, split, projections=60, generator=generator)[0, 0].item()
    square = jacobian_norms(model, split, projections=4, generator=generator)[:, 0].square()
    assert square.std() > 0  # signs are drawn for each example
    assert abs(square.mean() - truth**2) < 4 * square.std() / 20


def test_orders_flat_and_steep_networks(generator):
    inputs = torch.randn(200, 3, dtype=torch.double, generator=generator)
    split = Split(inputs, (inputs[:, 0] > 0).long())
    direction = torch.tensor([[-1.0, 0, 0], [1.0, 0, 0]])
    flat, middle, steep = (read(linear(scale * direction), split) for scale in (0.01, 0.1, 1.0))
    assert flat.high < middle.low
    assert middle.high < steep.low


def test_null_is_above_a_network_that_is_flat_on_its_data(generator):
    """x2 = x1 on the data; the network only changes where they differ: flat on, steep off."""

    class Ridge(nn.Module):
        def forward(self, x):
            gap = (x[:, 0] - x[:, 1]).square()
            return torch.stack([gap, -gap], dim=1)

    line = torch.randn(300, 1, dtype=torch.double, generator=generator)
    on = read(Ridge(), Split(line.expand(300, 2).contiguous(), torch.zeros(300, dtype=torch.long)))
    assert on.value == pytest.approx(0, abs=1e-12)
    assert on.null.low > 0.1
    # unrelated coordinates are no special place: scrambling them changes nothing
    square = torch.randn(300, 2, dtype=torch.double, generator=generator)
    off = read(Ridge(), Split(square, torch.zeros(300, dtype=torch.long)), examples=300)
    assert off.low < off.null.high
    assert off.high > off.null.low


def test_scrambling_keeps_the_law_of_each_coordinate(generator):
    """Two constant coordinates stay where they are, so nothing is scrambled."""
    inputs = torch.tensor([[1.0, -2.0]], dtype=torch.double).repeat(50, 1)
    weights = torch.tensor([[3.0, 1.0], [0.0, 2.0]], dtype=torch.double)
    reading = read(linear(weights), Split(inputs, torch.zeros(50, dtype=torch.long)))
    assert reading.null.value == pytest.approx(reading.value, rel=1e-12)


def test_hits_and_mistakes(generator):
    inputs = torch.cat([torch.full((20, 1), 3.0), torch.full((10, 1), 0.1)]).double()
    targets = torch.tensor([1] * 20 + [0] * 10)  # the network says 1 throughout
    reading = read(linear(torch.tensor([[0.0], [1.0]])), Split(inputs, targets))
    p = torch.tensor([3.0, 0.1], dtype=torch.double).sigmoid()
    hit, miss = (math.sqrt(2) * p * (1 - p)).tolist()
    assert reading.parts["hits"].value == pytest.approx(hit)
    assert reading.parts["mistakes"].value == pytest.approx(miss)
    assert reading.value == pytest.approx((2 * hit + miss) / 3)
    counts = reading.figures[0].counts
    assert [float(counts[name].sum()) for name in ("hits", "mistakes")] == [20, 10]
    assert reading.notes == (f"Steepest at row 20 of split: {miss:.3g}.",)


def test_interval_covers_the_truth(generator):
    """Logistic slope sqrt(2) p (1 - p) at x ~ N(0, 1), integrated numerically."""
    grid = torch.linspace(-8, 8, 20001, dtype=torch.double)
    density = (-grid.square() / 2).exp() / math.sqrt(2 * math.pi)
    slope = math.sqrt(2) * grid.sigmoid() * (1 - grid.sigmoid())
    truth = torch.trapezoid(slope * density, grid).item()
    model = linear(torch.tensor([[0.0], [1.0]]))
    covered = 0
    for _ in range(200):
        inputs = torch.randn(60, 1, dtype=torch.double, generator=generator)
        reading = read(model, Split(inputs, torch.zeros(60, dtype=torch.long)), examples=2)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_part_without_units_does_not_change_with_the_unit(generator):
    inputs = torch.randn(50, 3, dtype=torch.double, generator=generator)
    weights = torch.randn(4, 3, dtype=torch.double, generator=generator)
    targets = torch.zeros(50, dtype=torch.long)
    one = read(linear(weights), Split(inputs, targets))
    other = read(linear(weights / 10), Split(inputs * 10, targets))
    assert other.value == pytest.approx(one.value / 10)
    name = "times the size of the input"
    assert other.parts[name].value == pytest.approx(one.parts[name].value)
    assert one.parts[name].value == pytest.approx(
        one.value * inputs.square().sum(dim=1).mean().sqrt().item()
    )


def test_invariant_to_a_constant_added_to_all_logits(generator):
    inputs = torch.randn(20, 3, dtype=torch.double, generator=generator)
    weights = torch.randn(4, 3, dtype=torch.double, generator=generator)
    split = Split(inputs, torch.zeros(20, dtype=torch.long))
    found = [
        jacobian_norms(linear(weights + shift), split, generator=generator) for shift in (0.0, 5.0)
    ]
    torch.testing.assert_close(*found)


def test_leaves_the_inputs_as_they_were(generator):
    inputs = torch.randn(5, 3, dtype=torch.double, generator=generator)
    read(linear(torch.ones(2, 3)), Split(inputs, torch.zeros(5, dtype=torch.long)))
    assert not inputs.requires_grad
    assert inputs.grad is None


def test_refuses_what_has_no_slope(generator):
    tokens = Split(torch.zeros(4, 3, dtype=torch.long), torch.zeros(4, dtype=torch.long))
    with pytest.raises(CannotMeasure, match=r"whole numbers \(torch.int64\) have no gradient"):
        jacobian_norms(nn.Identity(), tokens, generator=generator)

    class Blind(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 2)

    floats = Split(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long))
    with pytest.raises(CannotMeasure, match="passes no gradient"):
        jacobian_norms(Blind(), floats, generator=generator)
    with pytest.raises(ValueError, match="projections >= 1, got 0"):
        jacobian_norms(nn.Identity(), floats, projections=0, generator=generator)
    with pytest.raises(ValueError, match="examples >= 2, got 1"):
        read(linear(torch.ones(2, 3)), Split(floats.inputs.double(), floats.targets), examples=1)
