"""Bits of labels, against scipy and the cases that everybody knows."""

import pytest
import torch
from scipy import stats

from offmap.numerics.entropy import label_bits


def test_agrees_with_scipy_whatever_the_shape(generator):
    labels = torch.randint(7, (40, 5), generator=generator) ** 2
    counts = torch.bincount(labels.flatten()).numpy()
    assert label_bits(labels) == pytest.approx(stats.entropy(counts, base=2), rel=1e-12)


def test_known_cases():
    assert label_bits(torch.zeros(9, dtype=torch.long)) == 0
    assert label_bits(torch.arange(8)) == pytest.approx(3, rel=1e-12)
    assert label_bits(torch.tensor([5, -2, 5, -2], dtype=torch.int32)) == pytest.approx(1)
