"""Counts that can be done by hand."""

from math import log2, log10, prod

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.measures.expressivity.overparameterization import overparameterization
from offmap.run import Split
from offmap.table import Table


class Unreadable(Table):
    """Rows that may be counted but not read."""

    shape = (3, 4, 4)
    dtype = torch.float32

    def __len__(self) -> int:
        return 10**9

    def take(self, rows):
        raise AssertionError("this measure has no business with the inputs")


def classes(n: int = 60, c: int = 3) -> Split:
    return Split(torch.zeros(n, 5), torch.arange(n) % c)


def test_classification_by_hand():
    reading = overparameterization(nn.Linear(5, 3), classes())  # 18 parameters, 60 x 3 numbers
    assert reading.value == pytest.approx(log10(18 / 180), abs=1e-12)
    assert (reading.low, reading.high) == (reading.value, reading.value)
    assert reading.null.value == 0
    assert {name: part.value for name, part in reading.parts.items()} == pytest.approx(
        {
            "trainable parameters": 18,
            "frozen parameters": 0,
            "training examples": 60,
            "numbers to fit": 180,
            "parameters per training example": 0.3,
            "parameters per number to fit": 0.1,
            "bits in all labels": 60 * log2(3),
            "parameters per label bit": 18 / (60 * log2(3)),
        }
    )


def test_regression_counts_every_target_number():
    reading = overparameterization(nn.Linear(5, 2), Split(torch.zeros(30, 5), torch.zeros(30, 2)))
    assert reading.value == pytest.approx(log10(12 / 60))
    assert not any("bit" in name for name in reading.parts)


def test_reconstruction_reads_no_inputs():
    reading = overparameterization(nn.Linear(5, 2), Split(Unreadable()))
    assert reading.parts["numbers to fit"].value == 10**9 * prod(Unreadable.shape)
    assert not any("bit" in name for name in reading.parts)


def test_tokens_count_positions_times_vocabulary():
    tokens = torch.tensor([[0, 1, 2, 3]] * 6)
    reading = overparameterization(nn.Linear(5, 2), Split(tokens, tokens))
    assert reading.parts["numbers to fit"].value == 6 * 4 * 4
    assert reading.parts["bits in all labels"].value == pytest.approx(6 * 4 * 2)


def test_shared_weights_count_once_and_frozen_ones_apart():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), nn.Linear(4, 3))
    model[1].weight = model[0].weight
    model[2].bias.requires_grad_(False)
    reading = overparameterization(model, classes())
    assert reading.parts["trainable parameters"].value == 16 + 12
    assert reading.parts["frozen parameters"].value == 3
    bars = reading.figures[0].values
    assert {name: bar.value for name, bar in bars.items()} == {"0.weight": 16, "2.weight": 12}
    assert list(bars) == ["0.weight", "2.weight"]


def test_order_of_small_fitting_and_large():
    small, even, large = (
        overparameterization(nn.Linear(width - 1, 3), classes(n=20)).value
        for width in (2, 20, 2000)
    )
    assert small < even == 0 < large


def test_the_names_of_the_classes_do_not_matter():
    split = classes()
    renamed = split.with_targets(torch.tensor([7, 100, 3])[split.targets])
    model = nn.Linear(5, 3)
    assert overparameterization(model, renamed).value == overparameterization(model, split).value


def test_one_class_has_no_bits_to_divide_by():
    reading = overparameterization(nn.Linear(5, 3), classes(c=1))
    assert reading.parts["bits in all labels"].value == 0
    assert "parameters per label bit" not in reading.parts


def test_refuses_a_frozen_model_and_empty_targets():
    with pytest.raises(
        CannotMeasure, match="none of the model's 18 parameters requires a gradient"
    ):
        overparameterization(nn.Linear(5, 3).requires_grad_(False), classes())
    with pytest.raises(CannotMeasure, match="no numbers to fit"):
        overparameterization(nn.Linear(5, 3), Split(torch.zeros(4, 5), torch.zeros(4, 0)))
