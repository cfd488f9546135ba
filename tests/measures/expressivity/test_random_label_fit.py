"""Wide networks store random labels; linear ones, with few weights for many labels, cannot."""

from math import e, log, sqrt

import pytest
import torch
from scipy import stats
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.estimate import proportion
from offmap.inputs import ClassPredictions
from offmap.measures.expressivity.random_label_fit import (
    random_label_fit,
    retrain_on_random_labels,
    share,
)
from offmap.run import Recipe, Split


def recipe(build, *, epochs: int = 60, rate: float = 0.01, batch_size: int = 100) -> Recipe:
    def optimizer(weights):
        return torch.optim.Adam(weights, lr=rate)

    return Recipe(build, optimizer, nn.functional.cross_entropy, epochs, batch_size)


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                         nn.Linear(512, 2))  # fmt: skip


def linear() -> nn.Module:
    return nn.Linear(2, 2)


class Constant(nn.Module):
    """Gives every input the same answer."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, inputs):
        return self.bias.expand(len(inputs), 2)


def points(n: int, generator: torch.Generator, dimension: int = 2) -> Split:
    """Two classes told apart by a line."""
    inputs = torch.randn(n, dimension, generator=generator)
    return Split(inputs, (inputs[:, 0] > 0).long())


def audited(n: int = 10) -> ClassPredictions:
    return ClassPredictions(torch.eye(2)[torch.arange(n) % 2], torch.zeros(n, dtype=torch.long))


def read(build, split, generator, seeds: int = 2, **settings):
    rows = [
        retrain_on_random_labels(recipe(build, **settings), split, generator=generator)
        for _ in range(seeds)
    ]
    return random_label_fit(audited(), torch.stack(rows), seeds=seeds)


def test_a_wide_network_stores_labels_that_a_linear_and_a_constant_one_cannot(generator):
    few = points(60, generator)
    stored = read(wide, few, generator, epochs=200, rate=0.003)
    assert stored.value > 0.97
    assert stored.low > stored.null.high

    n = 1000
    many = points(n, generator)
    guessed = read(linear, many, generator, epochs=20)
    # Massart's and Sauer's lemmas: expected accuracy of a line in the plane on coin flips
    reach = 0.5 + 0.5 * sqrt(2 * 3 * log(e * n / 3) / n)
    assert guessed.null.value - 0.05 < guessed.value < reach + 4 / (2 * sqrt(n))
    assert guessed.parts["accuracy on true labels"].value > 0.95
    assert guessed.parts["true minus random labels"].value > 0.3

    blind = read(Constant, many, generator, epochs=20)
    assert blind.value == pytest.approx(blind.null.value, abs=1e-12)
    assert blind.value <= guessed.value < stored.value


def test_random_labels_take_longer(generator):
    reading = read(wide, points(60, generator), generator, epochs=200, rate=0.003)
    slower = reading.parts["epochs to fit, random over true labels"]
    random, true = (reading.figures[0].series[f"{kind} labels"] for kind in ("random", "true"))
    assert slower.value > 2
    assert random.mean() < true.mean()
    assert reading.figures[0].x.tolist() == list(range(1, 201))


def test_one_repetition_matches_an_explicit_one(generator):
    """Same permutation, same weights, same order: redone here by hand with full batches."""
    split = points(30, generator)
    seen = []

    def build():
        model = nn.Linear(2, 2)
        seen.append(model)
        return model

    state = torch.Generator().manual_seed(7)
    plan = recipe(build, epochs=3, batch_size=30)
    row = retrain_on_random_labels(plan, split, examples=30, generator=state)
    assert row[:2].tolist() == [30, split.targets.bincount().max().item() / 30]

    again = torch.Generator().manual_seed(7)
    torch.randperm(30, generator=again)
    shuffled = split.targets[torch.randperm(30, generator=again)]
    assert not torch.equal(shuffled, split.targets)
    for model, labels, last in ((seen[0], shuffled, row[4]), (seen[1], split.targets, row[7])):
        accuracy = (model(split.inputs).argmax(1) == labels).double().mean()
        assert last.item() == pytest.approx(accuracy.item(), abs=1e-12)


def test_both_networks_start_alike(generator):
    starts = []

    def build():
        model = nn.Linear(2, 2)
        starts.append(model.weight.detach().clone())
        return model

    retrain_on_random_labels(recipe(build, epochs=1), points(20, generator), generator=generator)
    assert torch.equal(*starts)


def test_takes_at_most_the_examples_asked_for_and_works_on_few(generator):
    plan = recipe(linear, epochs=1)
    row = retrain_on_random_labels(plan, points(90, generator), examples=64, generator=generator)
    assert row.shape == (4,)
    assert row[0] == 64
    assert retrain_on_random_labels(plan, points(5, generator), generator=generator)[0] == 5


def test_an_epoch_to_fit_is_counted_from_one():
    random = [0.5, 0.6, 0.8, 0.95]
    true = [0.5, 0.9, 1.0, 1.0]
    rows = torch.tensor([[50, 0.5, *random, *true]] * 2, dtype=torch.double)
    reading = random_label_fit(audited(), rows, seeds=2)
    assert reading.parts["epochs to fit, random over true labels"].value == pytest.approx(4 / 2)
    assert reading.value == pytest.approx(0.95)
    rows[0, 5] = 0.85  # one seed did not get there: no ratio
    assert "epochs to fit, random over true labels" not in random_label_fit(
        audited(), rows, seeds=2
    ).parts  # fmt: skip


def test_the_audited_models_own_accuracy_is_shown():
    rows = torch.tensor([[50, 0.5, 0.6, 0.9], [50, 0.5, 0.7, 0.9]])
    reading = random_label_fit(audited(), rows, seeds=2)
    assert reading.parts["audited model's training accuracy"].value == 0.5


def test_seeds_that_agree_still_leave_an_interval():
    everything = share(torch.ones(3).double(), torch.full((3,), 20).double())
    expected = proportion(60, 60)
    assert (everything.value, everything.low, everything.high) == (1, expected.low, 1)
    assert everything.low == pytest.approx(0.025 ** (1 / 60))
    assert everything.n == 3


@pytest.mark.parametrize(("mean", "spread"), [(0.6, 0.05), (0.98, 0.012)])
def test_interval_covers_the_truth(mean, spread):
    """Accuracies from a beta law of known mean, three seeds each, near the edge included."""
    strength = mean * (1 - mean) / spread**2 - 1
    law = stats.beta(mean * strength, (1 - mean) * strength)
    draws = torch.from_numpy(law.rvs(size=(200, 3), random_state=0))
    covered = 0
    for row in draws:
        values = torch.stack([torch.full((3,), 500.0), torch.full((3,), 0.5), row, row], dim=1)
        reading = random_label_fit(audited(), values, seeds=3)
        assert 0 <= reading.low <= reading.high <= 1
        covered += reading.low <= mean <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_names_of_the_classes_do_not_matter(generator):
    split = points(200, generator)
    swapped = split.with_targets(1 - split.targets)
    values = [
        retrain_on_random_labels(
            recipe(Constant, epochs=2), s, generator=torch.Generator().manual_seed(3)
        )
        for s in (split, swapped)
    ]
    assert values[0].tolist() == values[1].tolist()


def test_refusals(generator):
    split = points(20, generator)
    with pytest.raises(CannotMeasure, match="trains for 0 epochs"):
        retrain_on_random_labels(recipe(linear, epochs=0), split, generator=generator)
    with pytest.raises(ValueError, match="expected examples >= 2, got 1"):
        retrain_on_random_labels(recipe(linear), split, examples=1, generator=generator)
    with pytest.raises(ValueError, match="expected seeds >= 2, got 1"):
        random_label_fit(audited(), torch.rand(1, 4), seeds=1)
    assert random_label_fit.tasks == (ClassPredictions,)
