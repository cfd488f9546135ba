import mpmath
import pytest
import torch

from offmap.score import Seen
from offmap.scores.generalized_entropy import generalized_entropy


def slow(logits, gamma, most):
    """The paper's sum over the likeliest classes, with fifty digits; then its logarithm."""
    with mpmath.workdps(50):
        powers = [mpmath.exp(mpmath.mpf(value)) for value in logits]
        top = sorted((power / mpmath.fsum(powers) for power in powers), reverse=True)[:most]
        return float(mpmath.log(mpmath.fsum(p**gamma * (1 - p) ** gamma for p in top)))


@pytest.mark.parametrize(("gamma", "classes"), [(0.1, 100), (0.1, 3), (0.5, 1), (0.9, 8)])
def test_is_the_sum_over_the_likeliest_classes(answering, fit, generator, gamma, classes):
    logits = 4 * torch.randn(30, 8, generator=generator)
    score = fit(generalized_entropy, answering(logits), gamma=gamma, classes=classes)
    truth = [slow(row, gamma, classes) for row in logits.tolist()]
    assert score(Seen(logits, logits)).tolist() == pytest.approx(truth, rel=1e-9, abs=1e-9)


def test_certain_answers_keep_their_order(answering, fit):
    """Where the sum itself is zero in double precision, too."""
    logits = torch.tensor([[0.0, 40.0, 1.0], [0.0, 50.0, 1.0], [0.0, 2e4, 1.0], [0.0, 3e4, 1.0]])
    values = fit(generalized_entropy, answering(logits))(Seen(logits, logits))
    assert (values[:-1] > values[1:]).all()
    assert values[1].item() == pytest.approx(slow(logits[1].tolist(), 0.1, 3), rel=1e-9)


def test_a_uniform_answer_is_the_strangest(answering, fit, generator):
    logits = torch.randn(100, 5, generator=generator)
    score = fit(generalized_entropy, answering(logits))
    uniform = torch.full((1, 5), 7.0)
    assert (score(Seen(logits, logits)) < score(Seen(uniform, uniform))).all()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"gamma": 0.0}, "expected gamma between 0 and 1, got 0"),
        ({"gamma": 1.0}, "expected gamma between 0 and 1, got 1"),
        ({"classes": 0}, "expected classes >= 1, got 0"),
    ],
)
def test_refuses_settings_without_meaning(answering, fit, settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit(generalized_entropy, answering(torch.zeros(4, 3)), **settings)
