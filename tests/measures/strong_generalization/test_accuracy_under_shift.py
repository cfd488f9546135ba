import pytest
import torch

from offmap.inputs import (
    ClassPredictions,
    RealPredictions,
    ReconstructionPredictions,
    TokenPredictions,
)
from offmap.measures.strong_generalization.accuracy_under_shift import accuracy_under_shift

MIX = "lost to the mix of classes alone"


def _classes(hit: torch.Tensor, targets: torch.Tensor, classes: int = 3) -> ClassPredictions:
    chosen = torch.where(hit, targets, (targets + 1) % classes)
    return ClassPredictions(torch.nn.functional.one_hot(chosen, classes).float(), targets)


def _drawn(error: torch.Tensor, targets: torch.Tensor, generator: torch.Generator):
    """Each example wrong with the probability of its class."""
    chance = torch.rand(len(targets), generator=generator)
    return _classes(chance >= error[targets], targets)


def test_is_read_on_shifts_only():
    assert accuracy_under_shift.reads_splits == "shifts"


def test_counts_where_the_shift_is_a_copy_of_test():
    """Of ten: five stay hits, two are lost, two stay mistakes, one is repaired."""
    targets = torch.arange(10) % 3
    test = _classes(torch.tensor([True] * 7 + [False] * 3), targets)
    here = _classes(torch.tensor([True] * 5 + [False] * 4 + [True]), targets)
    reading = accuracy_under_shift(here, test)
    assert reading.value == pytest.approx(0.1)
    assert reading.per_example is not None
    assert reading.per_example.tolist() == [0] * 5 + [1, 1, 0, 0, -1]
    assert reading.estimate.method == "mean"
    assert reading.parts["of the hits on test, lost"].value == pytest.approx(2 / 7)
    assert reading.parts["of the mistakes on test, repaired"].value == pytest.approx(1 / 3)
    assert reading.parts["error here"].value == pytest.approx(0.4)
    assert reading.parts["error on test"].value == pytest.approx(0.3)
    assert MIX not in reading.parts
    assert "error here / error on test" not in reading.parts


def test_counts_where_the_examples_are_others():
    test = _classes(torch.arange(100) < 80, torch.arange(100) % 2)
    here = _classes(torch.arange(50) < 30, torch.zeros(50, dtype=torch.long))
    reading = accuracy_under_shift(here, test)
    assert reading.value == pytest.approx(0.2)
    assert reading.estimate.method == "difference"
    assert reading.parts["error here / error on test"].value == pytest.approx(2.0)
    assert torch.equal(reading.per_example, here.error)
    as_many = _classes(torch.arange(100) < 80, torch.zeros(100, dtype=torch.long))
    assert accuracy_under_shift(as_many, test).estimate.method == "difference"


def test_pairing_narrows_the_interval(generator):
    targets = torch.randint(3, (500,), generator=generator)
    hit = torch.rand(500, generator=generator) < 0.7
    lost = hit & (torch.rand(500, generator=generator) < 0.9)
    paired = accuracy_under_shift(_classes(lost, targets), _classes(hit, targets))
    order = torch.randperm(500, generator=generator)
    apart = accuracy_under_shift(_classes(lost[order], targets[order]), _classes(hit, targets))
    assert paired.value == pytest.approx(apart.value)
    assert paired.high - paired.low < 0.7 * (apart.high - apart.low)


def test_a_change_of_mix_alone_explains_the_loss(generator):
    """Errors 0.1 and 0.4 by class; from shares (3/4, 1/4) to (1/4, 3/4) costs 0.15."""
    error = torch.tensor([0.1, 0.4, 0.0])
    test = _drawn(error, (torch.rand(20_000, generator=generator) < 0.25).long(), generator)
    mixed = _drawn(error, (torch.rand(4000, generator=generator) < 0.75).long(), generator)
    worse = _drawn(error + 0.3, test.targets[torch.randperm(4000)], generator)
    reading = accuracy_under_shift(mixed, test)
    assert reading.parts[MIX].low <= 0.15 <= reading.parts[MIX].high
    assert reading.parts[MIX].value == pytest.approx(reading.value, abs=0.04)
    other = accuracy_under_shift(worse, test)
    assert other.low > 0.2
    assert abs(other.parts[MIX].value) < 0.02


def test_mix_is_the_weighted_error_of_each_class():
    """Test errors 1/4 and 2/4 by class; the shift has shares 1/5 and 4/5."""
    test = _classes(torch.tensor([0, 1, 1, 1, 0, 0, 1, 1]).bool(), torch.arange(8) // 4)
    here = _classes(torch.ones(5, dtype=torch.bool), torch.tensor([0, 1, 1, 1, 1]))
    reading = accuracy_under_shift(here, test)
    assert reading.parts[MIX].value == pytest.approx(0.2 * 0.25 + 0.8 * 0.5 - 3 / 8)
    assert reading.notes == ()


def test_names_classes_that_test_has_not():
    test = _classes(torch.arange(40) < 30, torch.arange(40) % 2)
    here = _classes(torch.arange(30) < 20, torch.arange(30) % 3)
    assert accuracy_under_shift(here, test).notes == ("Class 2 occurs here and not in test.",)


def test_orders_better_same_and_worse(generator):
    def read(error: float):
        levels = torch.full((3,), error)
        here = _drawn(levels, torch.randint(3, (1500,), generator=generator), generator)
        return accuracy_under_shift(here, test)

    test = _drawn(torch.full((3,), 0.2), torch.randint(3, (2000,), generator=generator), generator)
    better, same, worse = read(0.05), read(0.2), read(0.5)
    assert better.high < same.low < 0 < same.high < worse.low
    assert same.null is not None
    assert same.null.value == 0


@pytest.mark.parametrize("paired", [True, False])
def test_interval_covers_the_loss(paired):
    """A hit is lost with chance 0.2, a mistake repaired with 0.1: 0.8 * 0.2 - 0.2 * 0.1 = 0.14."""
    generator = torch.Generator().manual_seed(1)
    covered = 0
    for _ in range(200):
        targets = torch.randint(3, (300,), generator=generator)
        hit = torch.rand(300, generator=generator) < 0.8
        there = hit if paired else torch.rand(300, generator=generator) < 0.8
        chance = torch.rand(300, generator=generator)
        other = torch.where(there, chance >= 0.2, chance < 0.1)
        moved = targets if paired else torch.randint(3, (300,), generator=generator)
        reading = accuracy_under_shift(_classes(other, moved), _classes(hit, targets))
        covered += reading.low <= 0.14 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_no_loss_at_all_still_has_a_width():
    targets = torch.arange(50) % 3
    same = _classes(torch.arange(50) < 40, targets)
    reading = accuracy_under_shift(same, same)
    assert reading.value == 0
    assert reading.high > 0.05


def test_squared_errors_are_paired_by_their_targets():
    targets = torch.tensor([[1.0], [2.0], [3.0]])
    test = RealPredictions(targets + 0.1, targets)
    here = RealPredictions(targets + torch.tensor([[1.0], [2.0], [0.0]]), targets)
    reading = accuracy_under_shift(here, test)
    assert reading.per_example is not None
    assert reading.per_example.tolist() == pytest.approx([0.99, 3.99, -0.01], abs=1e-6)
    other = accuracy_under_shift(RealPredictions(here.outputs[:2], targets[:2]), test)
    assert other.estimate.method == "difference"


def test_other_tasks_are_read_as_independent_samples(generator):
    here, test = (
        ReconstructionPredictions(torch.rand(100, generator=generator) + i) for i in (1, 0)
    )
    reading = accuracy_under_shift(here, test)
    assert reading.value == pytest.approx((here.error.mean() - test.error.mean()).item())
    assert reading.parts["error here / error on test"].value == pytest.approx(
        (here.error.mean() / test.error.mean()).item()
    )
    nll = torch.rand(50, 4, generator=generator)
    there, home = TokenPredictions(nll, nll < 0.5), TokenPredictions(nll, nll < 0.9)
    assert accuracy_under_shift(there, home).estimate.method == "difference"


def test_renaming_classes_changes_nothing(generator):
    test = _drawn(
        torch.tensor([0.1, 0.2, 0.3]), torch.randint(3, (200,), generator=generator), generator
    )
    here = _drawn(
        torch.tensor([0.4, 0.2, 0.3]), torch.randint(3, (150,), generator=generator), generator
    )
    other = accuracy_under_shift(
        *(ClassPredictions(p.logits.roll(1, dims=1), (p.targets + 1) % 3) for p in (here, test))
    )
    expected = accuracy_under_shift(here, test)
    assert other.estimate == expected.estimate
    assert other.parts[MIX].value == pytest.approx(expected.parts[MIX].value)
