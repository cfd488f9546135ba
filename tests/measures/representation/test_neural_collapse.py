"""The geometry of the last layer, against theory, a plain pseudo-inverse, and known clouds."""

import numpy as np
import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.figures import Histogram, Matrix
from offmap.inputs import ClassPredictions, Features
from offmap.measures.representation.neural_collapse import geometries, neural_collapse
from offmap.table import TensorTable

NC2, NC2_LENGTH = (
    "NC2: mean distance of cosines from the simplex",
    "NC2: relative deviation of the means' lengths",
)
NC3, NC4 = (
    "NC3: distance of the head from the class means",
    "NC4: share not decided by the nearest class mean",
)


class InPieces(TensorTable):
    """A table that is read a few rows at a time."""

    def chunks(self, size=None):
        return super().chunks(size or 31)


def as_features(values):
    return Features(InPieces(values), "head", 2**30)


def read(values, targets, weights=None, *, seed=0):
    c = int(targets.max()) + 1
    head = nn.Linear(values.shape[1], c, bias=False, dtype=values.dtype)
    with torch.no_grad():
        head.weight.copy_(torch.randn(c, values.shape[1]) if weights is None else weights)
        logits = head(values)
    return neural_collapse(
        as_features(values),
        ClassPredictions(logits, targets),
        head,
        generator=torch.Generator().manual_seed(seed),
    )


def clouds(c, each, d, noise, generator):
    """Classes around corners of a simplex."""
    targets = torch.arange(c).repeat_interleave(each)
    noise = noise * torch.randn(c * each, d, dtype=torch.double, generator=generator)
    return torch.eye(d, dtype=torch.double)[targets] + noise, targets


@pytest.fixture(scope="module")
def unconstrained():
    """The minimum of cross-entropy + (|W|^2 + |H|^2 / n) lam / 2 over weights and features."""
    c, each, d, decay = 5, 20, 12, 5e-3
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(c, d, dtype=torch.double, generator=generator, requires_grad=True)
    values = torch.randn(c * each, d, dtype=torch.double, generator=generator, requires_grad=True)
    targets = torch.arange(c).repeat(each)
    optimizer = torch.optim.LBFGS(
        [weights, values], max_iter=2000, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=1e-12, tolerance_change=0,
    )  # fmt: skip

    def loss():
        optimizer.zero_grad()
        value = nn.functional.cross_entropy(values @ weights.T, targets)
        value = value + decay / 2 * (weights.square().sum() + values.square().sum() / (c * each))
        value.backward()
        return value

    optimizer.step(loss)
    return values.detach(), targets, weights.detach()


def test_the_unconstrained_features_model_collapses(unconstrained):
    values, targets, weights = unconstrained
    reading = read(values, targets, weights)
    assert reading.value < 1e-8
    assert reading.parts[NC2].value < 1e-5
    assert reading.parts[NC2_LENGTH].value < 1e-5
    assert reading.parts[NC3].value < 1e-5
    assert reading.parts[NC4].value == 0
    assert reading.null.low > 0.1
    figure = reading.figures[0]
    assert isinstance(figure, Matrix)
    off_diagonal = figure.values[~torch.eye(5, dtype=torch.bool)]
    torch.testing.assert_close(
        off_diagonal, torch.full_like(off_diagonal, -0.25), atol=1e-5, rtol=0
    )


def test_variability_is_the_trace_with_a_pseudo_inverse(generator):
    """Unequal classes, more features than classes, against matrices formed in full."""
    targets = torch.tensor([0] * 5 + [1] * 9 + [3] * 20)[torch.randperm(34, generator=generator)]
    values = torch.randn(34, 6, dtype=torch.double, generator=generator) + targets[:, None] ** 2
    x, y = values.numpy(), targets.numpy()
    means = np.stack([x[y == k].mean(axis=0) for k in (0, 1, 3)])
    means_ = means - means.mean(axis=0)
    within = sum(np.cov(x[y == k].T) * (y == k).mean() for k in (0, 1, 3))
    expected = np.trace(within @ np.linalg.pinv(means_.T @ means_ / 3, rcond=1e-10)) / 3
    assert read(values, targets).value == pytest.approx(expected, rel=1e-10)


def test_nearest_class_mean_is_by_distance(generator):
    values, targets = clouds(3, 10, 4, 0.8, generator)
    means = torch.stack([values[targets == k].mean(dim=0) for k in range(3)])
    (found,) = geometries(as_features(values), targets[None])
    assert torch.equal(found.nearest, torch.cdist(values, means).argmin(dim=1))
    labels = targets.clone()
    labels[:3] = 2
    logits = nn.functional.one_hot(labels).double()
    reading = neural_collapse(
        as_features(values), ClassPredictions(logits, targets), nn.Linear(4, 3), generator=generator
    )
    expected = (torch.cdist(values, means).argmin(dim=1) != labels).double().mean()
    assert reading.parts[NC4].value == pytest.approx(float(expected))


def test_orders_collapsed_clustered_and_unrelated_features(generator):
    tight, loose, blind = (
        read(*clouds(4, 50, 10, noise, generator)) for noise in (0.01, 0.3, 100.0)
    )
    assert tight.high < loose.low < loose.high < blind.low
    assert loose.high < loose.null.low


def test_features_that_know_no_classes_are_above_the_null_half_of_the_time(generator):
    readings = [read(*clouds(4, 20, 10, 1000.0, generator), seed=seed) for seed in range(200)]
    above = sum(reading.value > reading.null.value for reading in readings)
    assert abs(above - 100) < 4 * 50**0.5


def test_interval_covers_the_truth(generator):
    """Given the class means, the covariance within classes is that of the law."""
    covered = 0
    for _ in range(200):
        values, targets = clouds(4, 30, 6, 0.5, generator)
        means = torch.stack([values[targets == k].mean(dim=0) for k in range(4)])
        means -= means.mean(dim=0)
        truth = 0.25 * torch.linalg.pinv(means.T @ means / 4, rtol=1e-10).trace() / 4
        reading = read(values, targets)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_invariant_to_order_names_rotation_scale_and_place(generator):
    values, targets = clouds(4, 20, 6, 0.5, generator)
    order = torch.randperm(80, generator=generator)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.double, generator=generator)).Q
    names = torch.tensor([2, 0, 3, 1])
    one, other = read(values, targets), read(7 * values[order] @ turn + 3, names[targets[order]])
    assert other.value == pytest.approx(one.value)
    assert other.low == pytest.approx(one.low)
    for part in (NC2, NC2_LENGTH):
        assert other.parts[part].value == pytest.approx(one.parts[part].value)


def test_the_head_is_set_against_the_means_without_what_all_classes_share(generator):
    values, targets = clouds(3, 10, 5, 0.1, generator)
    means = torch.stack([values[targets == k].mean(dim=0) for k in range(3)])
    aligned = 2 * (means - means.mean(dim=0)) + torch.randn(5, generator=generator)
    assert read(values, targets, aligned).parts[NC3].value == pytest.approx(0, abs=1e-10)
    assert read(values, targets, -aligned).parts[NC3].value == pytest.approx(2)


def test_a_head_that_is_not_the_last_layer_is_noted(generator):
    values, targets = clouds(3, 10, 5, 0.1, generator)
    logits = nn.functional.one_hot(targets).double()
    reading = neural_collapse(
        as_features(values), ClassPredictions(logits, targets), nn.Linear(5, 7), generator=generator
    )
    assert NC3 not in reading.parts
    assert "NC3 is left out" in reading.notes[1]


def test_names_the_closest_classes(generator):
    values, targets = clouds(4, 10, 6, 0.01, generator)
    values[targets == 3] = values[targets == 1] + 0.1 * values[targets == 3]
    assert read(values, targets).notes[0].startswith("Classes 1 and 3 are closest")


def test_many_classes_become_a_histogram(generator):
    figure = read(*clouds(41, 3, 45, 0.1, generator)).figures[0]
    assert isinstance(figure, Histogram)
    assert figure.counts[""].sum() == 41 * 40 / 2


def test_a_class_of_one_is_left_out_of_the_variability(generator):
    values, targets = clouds(4, 10, 6, 0.5, generator)
    values = torch.cat([values, 2 * values[:1]])
    reading = read(values, torch.cat([targets, torch.tensor([4])]))
    assert reading.estimate.n == 40


def test_refuses_what_has_no_classes(generator):
    values = torch.randn(6, 3, generator=generator)
    with pytest.raises(CannotMeasure, match="got 1 classes"):
        geometries(as_features(values), torch.zeros(1, 6, dtype=torch.long))
    with pytest.raises(CannotMeasure, match="the largest of 1 examples"):
        geometries(as_features(values), torch.arange(6)[None])
    with pytest.raises(ValueError, match="permutations >= 6, got 5"):
        neural_collapse(
            as_features(values), ClassPredictions(values, torch.arange(6) % 3), nn.Linear(3, 3),
            permutations=5, generator=generator,
        )  # fmt: skip
    with pytest.raises(CannotMeasure, match="class means are equal"):
        geometries(as_features(torch.ones(6, 3)), torch.arange(6)[None] % 2)
