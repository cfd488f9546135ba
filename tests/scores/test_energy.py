import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from offmap.score import Seen
from offmap.scores.energy import energy


def test_is_minus_the_log_sum_exp(answering, fit, generator):
    logits = 5 * torch.randn(100, 9, generator=generator)
    score = fit(energy, answering(logits))
    truth = -np.asarray(logsumexp(logits.double().numpy(), axis=1))
    assert score(Seen(logits, logits)).tolist() == pytest.approx(truth.tolist(), rel=1e-12)
    assert score(Seen(logits, logits + 2)).tolist() == pytest.approx((truth - 2).tolist(), rel=1e-6)


def test_large_logits_do_not_overflow(answering, fit):
    logits = torch.tensor([[1e30, 0.0], [-1e30, -1e30]])
    assert fit(energy, answering(logits))(Seen(logits, logits)).tolist() == pytest.approx(
        [-1e30, 1e30], rel=1e-6
    )


@pytest.mark.parametrize("ends_with", [torch.softmax, torch.log_softmax])
def test_probabilities_are_refused(answering, fit, ends_with, generator):
    """Their log-sum-exp says nothing: it is the same for all inputs, or rounding."""
    logits = torch.randn(50, 4, generator=generator)
    with pytest.raises(ValueError, match=r"expected logits, got outputs that a softmax has made"):
        fit(energy, answering(ends_with(logits, dim=1)))


def test_logits_that_happen_to_be_positive_are_logits(answering, fit, generator):
    logits = torch.rand(50, 4, generator=generator)
    fit(energy, answering(logits))
