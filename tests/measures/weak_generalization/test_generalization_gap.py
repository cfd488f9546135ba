import math

import pytest
import torch

from offmap.attempt import CannotMeasure
from offmap.inputs import (
    ClassPredictions,
    Predictions,
    RealPredictions,
    ReconstructionPredictions,
    TokenPredictions,
)
from offmap.measures.weak_generalization.generalization_gap import generalization_gap


def _classes(hit: torch.Tensor, scale: float = 1.0) -> ClassPredictions:
    """Two classes; the target is 0 and its logit is larger by `scale` on hits."""
    logits = torch.stack((hit.float(), 1 - hit.float()), dim=1) * scale
    return ClassPredictions(logits, torch.zeros(len(hit), dtype=torch.long))


def _hits(n: int, error: float, generator: torch.Generator) -> ClassPredictions:
    return _classes(torch.rand(n, generator=generator) >= error)


def test_counts_for_classes():
    reading = generalization_gap(_classes(torch.arange(10) < 7), _classes(torch.arange(50) < 45))
    assert reading.value == pytest.approx(0.3 - 0.1)
    assert reading.parts["error here"].value == pytest.approx(0.3)
    assert reading.parts["error on train"].value == pytest.approx(0.1)
    assert reading.parts["error here / error on train"].value == pytest.approx(3.0)
    assert reading.null is not None
    assert reading.null.value == reading.null.high == 0


def test_loss_gap_of_classes_in_closed_form():
    """A hit costs log(1 + e^-2), a mistake two nats more."""
    reading = generalization_gap(
        _classes(torch.arange(10) < 7, scale=2.0), _classes(torch.arange(50) < 45, scale=2.0)
    )
    assert reading.parts["loss gap in nats"].value == pytest.approx(2 * 0.2)
    hit = math.log1p(math.exp(-2))
    assert reading.per_example is not None
    assert reading.per_example.tolist() == pytest.approx([hit] * 7 + [hit + 2] * 3)


def test_squared_errors_and_their_ratio():
    here = RealPredictions(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]]))
    train = RealPredictions(torch.tensor([[1.0], [1.1]]), torch.zeros(2, 1))
    reading = generalization_gap(here, train)
    assert reading.value == pytest.approx(5 - (1 + 1.21) / 2)
    assert "loss gap in nats" not in reading.parts
    assert "error here / error on train" not in reading.parts  # two rows: 0 is in the interval


@pytest.mark.parametrize("task", ["reconstruction", "tokens"])
def test_every_task_has_a_gap(task, generator):
    def predictions(level: float) -> Predictions:
        errors = level * torch.rand(200, 4, generator=generator)
        if task == "reconstruction":
            return ReconstructionPredictions(errors.mean(dim=1))
        return TokenPredictions(errors, torch.rand(200, 4, generator=generator) >= errors)

    here, train = predictions(0.6), predictions(0.2)
    reading = generalization_gap(here, train)
    assert reading.value == pytest.approx((here.error.mean() - train.error.mean()).item())
    ratio = (here.error.mean() / train.error.mean()).item()
    assert reading.parts["error here / error on train"].value == pytest.approx(ratio)
    assert ("loss gap in nats" in reading.parts) == (task == "tokens")


def test_orders_overfitted_honest_and_easier(generator):
    train = _hits(2000, 0.1, generator)
    overfitted = generalization_gap(_hits(1000, 0.3, generator), train)
    honest = generalization_gap(_hits(1000, 0.1, generator), train)
    easier = generalization_gap(_hits(1000, 0.02, generator), train)
    assert easier.high < honest.low < 0 < honest.high < overfitted.low
    assert easier.notes == ("This split is easier for the network than its training data.",)
    assert honest.notes == overfitted.notes == ()
    by_chance = generalization_gap(
        _classes(torch.arange(100) < 95), _classes(torch.arange(100) < 90)
    )
    assert by_chance.value < 0
    assert by_chance.notes == ()


def test_interval_covers_the_gap():
    generator = torch.Generator().manual_seed(1)
    covered = 0
    for _ in range(200):
        reading = generalization_gap(_hits(300, 0.2, generator), _hits(600, 0.05, generator))
        covered += reading.low <= 0.15 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_a_model_without_training_errors_has_a_gap_and_no_ratio(generator):
    reading = generalization_gap(_hits(500, 0.2, generator), _classes(torch.ones(500)))
    assert reading.low > 0
    assert "error here / error on train" not in reading.parts


def test_order_of_the_examples_does_not_matter(generator):
    here, train = _hits(300, 0.2, generator), _hits(300, 0.1, generator)
    order = torch.randperm(300, generator=generator)
    mixed = ClassPredictions(here.logits[order], here.targets[order])
    assert generalization_gap(mixed, train).estimate == generalization_gap(here, train).estimate


def test_one_example_is_not_enough():
    one = RealPredictions(torch.ones(1, 1), torch.zeros(1, 1) + 0.5)
    with pytest.raises(CannotMeasure, match="at least two values"):
        generalization_gap(one, one)
