"""Gradients whose law is known, because the model is its own weights."""

from math import erf, exp, log, pi, sqrt

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions
from offmap.measures.trainability.gradient_signal import gradient_signal
from offmap.run import Split


class Answer(nn.Module):
    """Says `weight`, whatever it is asked: the gradient of its squared error is 2 (w - y) / d."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dimension, dtype=torch.double))

    def forward(self, inputs):
        return self.weight.expand(len(inputs), -1)


def asked(targets: torch.Tensor) -> Split:
    return Split(torch.zeros(len(targets), 1), targets.double())


def read(targets: torch.Tensor, generator: torch.Generator, **settings):
    return gradient_signal(
        Answer(targets.shape[1]), asked(targets), generator=generator, **settings
    )


SCALE = "gradient noise scale, in examples"
SIGNAL = "squared length of the mean gradient"


def test_order_from_one_teacher_to_all_alike(generator):
    alone = torch.zeros(100, 1)
    alone[17] = 5
    one = read(alone, generator)
    half = read((torch.arange(100) % 2)[:, None], generator)
    alike = read(torch.ones(100, 1), generator)
    assert one.value == pytest.approx(0.01)
    assert half.value == pytest.approx(0.5)
    assert alike.value == pytest.approx(1) == alike.null.value
    silent = "examples with next to no gradient"
    assert [r.parts[silent].value for r in (one, half, alike)] == [0.99, 0.5, 0]


def test_a_fitted_network_learns_from_fewer_examples_than_a_fresh_one(generator):
    inputs = torch.randn(300, 5, generator=generator)
    split = Split(inputs, (inputs[:, 0] > 0).long())
    fresh, fitted = nn.Linear(5, 2), nn.Linear(5, 2)
    with torch.no_grad():
        fitted.weight.zero_()
        fitted.weight[1, 0] = 30.0
        fitted.bias.zero_()
        fresh.weight.zero_()
        fresh.bias.zero_()
    before = gradient_signal(fresh, split, generator=generator)
    after = gradient_signal(fitted, split, generator=generator)
    assert after.high < before.low
    learned = "bits of a label yet to learn"
    assert before.parts[learned].value == pytest.approx(1, abs=1e-6)
    nats = ClassPredictions(fitted(inputs).detach(), split.targets).loss.mean().item()
    assert after.parts[learned].value == pytest.approx(nats / log(2), rel=1e-4)
    assert before.parts["bits in a label"].value == pytest.approx(1, abs=0.01)


def test_intervals_cover_the_truth(generator):
    """Targets N(1, 1): lengths are folded normal, tr Sigma / |G|^2 = 1, |G|^2 = 4."""
    length = sqrt(2 / pi) * exp(-1 / 2) + erf(1 / sqrt(2))
    covered = {"headline": 0, SCALE: 0, SIGNAL: 0}
    for _ in range(200):
        reading = read(torch.randn(150, 1, generator=generator) + 1, generator)
        found = {"headline": reading.estimate, **reading.parts}
        for name, truth in (("headline", length**2 / 2), (SCALE, 1), (SIGNAL, 4)):
            covered[name] += found[name].low <= truth <= found[name].high
    for name, count in covered.items():
        assert 0.90 <= count / 200 <= 0.99, name


def test_the_squared_mean_gradient_is_unbiased(generator):
    """Few examples and little signal: the squared length of their mean itself is many times it."""
    n, d, mu = 20, 3, 0.1
    parts = [read(torch.randn(n, d, generator=generator) + mu, generator).parts for _ in range(100)]
    values = torch.tensor([part[SIGNAL].value for part in parts]).double()
    assert abs(values.mean().item() - 4 * mu**2 / d) < 4 * values.std().item() / sqrt(100)


def test_the_parts_equal_their_definitions(generator):
    """All pairs for the signal, numpy's covariance for the noise, leaving out one after another."""
    targets = torch.randn(30, 3, generator=generator).double() + 0.6
    gradients = (-2 / 3 * targets).numpy()

    def signal(g):
        return np.mean([a @ b for i, a in enumerate(g) for j, b in enumerate(g) if i != j])

    def log_scale(g):
        return np.log(np.trace(np.cov(g.T)) / signal(g))

    def pseudo(statistic):
        left = [statistic(np.delete(gradients, k, axis=0)) for k in range(30)]
        return 30 * statistic(gradients) - 29 * np.array(left)

    parts = read(targets, generator).parts
    for name, statistic, back in ((SIGNAL, signal, float), (SCALE, log_scale, np.exp)):
        values = pseudo(statistic)
        half = stats.t.ppf(0.975, 29) * stats.sem(values)
        expected = [back(values.mean() + side * half) for side in (0, -1, 1)]
        found = parts[name]
        assert [found.value, found.low, found.high] == pytest.approx(expected, rel=1e-9)
        assert found.method == "jackknife"
    helped = [row @ np.delete(gradients, k, 0).mean(0) > 0 for k, row in enumerate(gradients)]
    assert parts["examples that the others' mean gradient helps"].value == np.mean(helped)


def test_pure_noise_has_no_noise_scale_and_says_so(generator):
    reading = read(torch.randn(100, 20, generator=generator), generator)
    assert SCALE not in reading.parts
    assert "cannot be told from zero" in reading.notes[0]
    clear = read(torch.randn(100, 2, generator=generator) + 2, generator)
    assert clear.notes == ()


def test_equal_gradients_have_no_noise(generator):
    reading = read(torch.full((50, 1), 0.5), generator)  # each of length one
    assert 0 <= reading.parts[SCALE].high < 1e-12
    assert reading.parts[SIGNAL].low == reading.parts[SIGNAL].high == pytest.approx(1)


def test_layers_lengths_and_carriers(generator):
    inputs, targets = torch.randn(60, 4, generator=generator), torch.arange(60) % 3
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    reading = gradient_signal(model, Split(inputs, targets), generator=generator)
    lengths = {"0": [], "2": []}
    for k in range(60):
        loss = nn.functional.cross_entropy(model(inputs[k : k + 1]), targets[k : k + 1])
        for layer in lengths:
            grads = torch.autograd.grad(
                loss, list(model[int(layer)].parameters()), retain_graph=True
            )
            lengths[layer].append(torch.cat([g.flatten() for g in grads]).norm().item())
    curve, bars = reading.figures
    for layer, values in lengths.items():
        assert bars.values[layer].value == pytest.approx(np.mean(values), rel=1e-5)
    whole = np.sqrt(np.square(list(lengths.values())).sum(0))
    assert reading.value == pytest.approx(whole.sum() ** 2 / (60 * (whole**2).sum()), rel=1e-5)
    held = np.cumsum(np.sort(whole)[::-1]) / whole.sum()
    assert curve.x[15].item() == 0.25
    assert curve.series["measured"][15].item() == pytest.approx(held[14], rel=1e-5)
    assert curve.series["measured"][[0, -1]].tolist() == pytest.approx([0, 1])


def test_order_of_examples_and_scale_of_the_loss_do_not_matter(generator):
    targets = torch.randn(80, 2, generator=generator) + 0.5
    first, moved = read(targets, generator), read(3 * targets.flip(0), generator)
    assert moved.value == pytest.approx(first.value)
    assert moved.parts[SCALE].value == pytest.approx(first.parts[SCALE].value)
    assert moved.parts[SIGNAL].value == pytest.approx(9 * first.parts[SIGNAL].value)


def test_looks_at_the_examples_asked_for_and_leaves_the_model_alone(generator):
    model = nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    split = Split(torch.randn(300, 1, generator=generator), torch.arange(300) % 2)
    reading = gradient_signal(model, split, examples=40, generator=generator)
    assert reading.estimate.n == 40
    assert all(module.training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.is_grad_enabled()


def test_reconstruction_has_no_labels_to_count_bits_of(generator):
    split = Split(torch.randn(30, 3, generator=generator))
    parts = gradient_signal(nn.Linear(3, 3), split, generator=generator).parts
    assert not any("bit" in name for name in parts)


def test_refusals(generator):
    with pytest.raises(ValueError, match="expected examples >= 20, got 5"):
        read(torch.ones(30, 1), generator, examples=5)
    with pytest.raises(CannotMeasure, match="needs at least 20 training examples, got 6"):
        read(torch.ones(6, 1), generator)
    with pytest.raises(CannotMeasure, match="gradient of every example is exactly zero"):
        read(torch.zeros(30, 1), generator)
    frozen = Answer(1).requires_grad_(False)
    with pytest.raises(CannotMeasure, match="none of the model's parameters requires a gradient"):
        gradient_signal(frozen, asked(torch.ones(30, 1)), generator=generator)
