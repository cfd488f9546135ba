"""Gradients whose law is known, because the model is its own weights."""

from math import log2, pi, sqrt

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions
from offmap.measures.trainability.gradient_signal import gradient_signal, jackknife, noise_scale
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
    return gradient_signal(Answer(targets.shape[1]), asked(targets), generator=generator, **settings)


SCALE = "gradient noise scale, in examples"
SIGNAL = "squared length of the mean gradient"


def test_participation_of_normal_gradients_and_its_coverage(generator):
    """Lengths are half-normal: (E|z|)^2 / E z^2 = 2 / pi."""
    covered = 0
    for _ in range(200):
        reading = read(torch.randn(200, 1, generator=generator), generator)
        covered += reading.low <= 2 / pi <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


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
    truth = ClassPredictions(fitted(inputs).detach(), split.targets).loss.mean().item() / log2(2)
    assert after.parts[learned].value == pytest.approx(truth / 0.6931471805599453, rel=1e-4)
    assert before.parts["bits in a label"].value == pytest.approx(1, abs=0.01)


def test_noise_scale_covers_the_truth(generator):
    """Targets N(mu, 1) in d dimensions: tr Sigma / |G|^2 = d / |mu|^2 = 8, |G|^2 = 4 |mu|^2 / d^2."""
    d, scale, signal = 4, 0, 0
    for _ in range(200):
        targets = torch.randn(150, d, generator=generator) + sqrt(0.5 / d)
        parts = read(targets, generator).parts
        scale += parts[SCALE].low <= d / 0.5 <= parts[SCALE].high
        signal += parts[SIGNAL].low <= 4 * 0.5 / d**2 <= parts[SIGNAL].high
    assert 0.90 <= scale / 200 <= 0.99
    assert 0.90 <= signal / 200 <= 0.99


def test_parts_of_the_noise_scale_are_unbiased(generator):
    """Few examples and little signal, where |mean|^2 itself would be four times too large."""
    n, d, mu = 20, 3, 0.1
    signals, traces = [], []
    for _ in range(500):
        reading = read(torch.randn(n, d, generator=generator) + mu, generator)
        signals.append(reading.parts[SIGNAL].value)
        traces.append(_trace(reading, d))
    for found, truth in ((signals, 4 * mu**2 / d), (traces, 4 / d)):
        values = torch.tensor(found).double()
        assert abs(values.mean().item() - truth) < 4 * values.std().item() / sqrt(500)


def _trace(reading, d: int) -> float:
    """Mean squared gradient less the squared mean one: loss is |w - y|^2 / d = d |g|^2 / 4."""
    return reading.figures[1].values["weight"].n and _mean_square(reading) - (
        reading.parts[SIGNAL].value
    )
