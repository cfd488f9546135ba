import math

import pytest
import torch
from scipy.special import softmax

from offmap.score import Seen
from offmap.scores.max_softmax import max_softmax


@pytest.fixture
def score(answering, fit):
    """The score of logits [n c]."""
    return lambda logits: fit(max_softmax, answering(logits))(Seen(logits, logits))


def test_is_the_logarithm_of_what_the_largest_softmax_leaves(score, generator):
    logits = 3 * torch.randn(200, 7, generator=generator)
    truth = [math.log1p(-max(softmax(row))) for row in logits.double().numpy()]
    assert score(logits).tolist() == pytest.approx(truth, rel=1e-9)


def test_two_classes_in_closed_form(score):
    margin = torch.tensor([0.0, 1.0, 30.0, 1000.0, 1e5])
    logits = torch.stack([torch.zeros(5), margin], dim=1)
    truth = [-m - math.log1p(math.exp(-m)) for m in margin.tolist()]
    assert score(logits).tolist() == pytest.approx(truth, rel=1e-12)


def test_certain_answers_keep_their_order(score):
    """Where the softmax rounds to 1, in single and in double precision."""
    logits = torch.tensor([[0.0, 40.0, 1.0], [0.0, 50.0, 1.0], [0.0, 900.0, 1.0]])
    assert (logits.double().softmax(dim=1).amax(dim=1) == 1).all()
    values = score(logits)
    assert (values[:-1] > values[1:]).all()


def test_ties_at_the_top(score):
    logits = torch.tensor([[2.0, 2.0, -1e4], [0.0, 0.0, 0.0]])
    assert score(logits).tolist() == pytest.approx([math.log(1 / 2), math.log(2 / 3)], rel=1e-12)


def test_neither_a_shift_nor_the_order_of_classes_matters(score, generator):
    logits = torch.randn(50, 6, generator=generator).double()
    assert torch.allclose(score(logits + 100), score(logits), rtol=1e-10)
    assert torch.allclose(score(logits.flip(1)), score(logits), rtol=1e-12)
