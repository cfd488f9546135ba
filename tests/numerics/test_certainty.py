from fractions import Fraction
from math import exp, log

import pytest
import torch

from offmap.numerics.certainty import confidence_at_infinity, log_doubt


def test_doubt_of_two_classes_is_a_logistic_function_however_sure():
    gap = torch.tensor([0.0, 1.0, 40.0, 2000.0], dtype=torch.double)
    found = log_doubt(torch.stack([gap, torch.zeros(4)], dim=1))
    assert torch.allclose(found, -torch.nn.functional.softplus(gap), rtol=1e-14)
    assert found[-1].item() == -2000  # where the doubt itself is below the smallest number


def test_doubt_of_many_classes_is_one_minus_the_confidence(generator):
    logits = 3 * torch.randn(50, 7, generator=generator, dtype=torch.double)
    naive = 1 - logits.softmax(dim=1).amax(dim=1)
    assert torch.allclose(log_doubt(logits).exp(), naive, rtol=1e-10)
    assert torch.allclose(log_doubt(logits + 1e6), log_doubt(logits), rtol=1e-8)
    assert torch.equal(log_doubt(logits.flip(1)).argsort(), log_doubt(logits).argsort())


def test_doubt_keeps_its_digits():
    """Against rational arithmetic: three logits 30, 1, 0."""
    parts = [Fraction(exp(x)) for x in (30.0, 1.0, 0.0)]
    truth = log(Fraction(parts[1] + parts[2], sum(parts)))
    found = log_doubt(torch.tensor([[1.0, 30.0, 0.0]])).item()
    assert found == pytest.approx(truth, rel=1e-12)


def _line(start, slope, at=1e3):
    """Logits of one ray at once, twice and four times a distance."""
    start, slope = torch.tensor([start]), torch.tensor([slope])
    return [start + times * at * slope for times in (1, 2, 4)]


def test_limits_of_lines():
    steep = confidence_at_infinity(*_line([5.0, 0.0, 0.0], [0.1, 0.2, 0.3]))
    assert steep.item() == 1
    flat = confidence_at_infinity(*_line([log(2.0), 0.0], [0.7, 0.7])).item()
    assert flat == pytest.approx(2 / 3, rel=1e-4)  # the float32 logits are as large as 2,800
    still = confidence_at_infinity(*_line([log(3.0), 0.0], [0.0, 0.0])).item()
    assert still == pytest.approx(3 / 4, rel=1e-6)
    tied = confidence_at_infinity(*_line([0.0, 0.0, 0.0], [0.3, 0.3, 0.1]))
    assert tied.isnan().all()  # half, or one of the two if they differ beyond the digits


def test_curves_have_no_limit_here():
    logits = [torch.tensor([[a * a, 0.0]]) for a in (1.0, 2.0, 4.0)]
    assert confidence_at_infinity(*logits).isnan().all()


def test_rows_do_not_meet(generator):
    start, slope = torch.randn(2, 20, 5, generator=generator)
    rays = [start + a * slope for a in (1e3, 2e3, 4e3)]
    together = confidence_at_infinity(*rays)
    alone = torch.cat([confidence_at_infinity(*(r[i : i + 1] for r in rays)) for i in range(20)])
    assert torch.equal(together, alone)
    assert (together == 1).all()
