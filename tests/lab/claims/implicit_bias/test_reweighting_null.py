import torch

from offmap.lab.claims.implicit_bias.reweighting import angle, max_margin, separable, weightings
from offmap.lab.run import find


def test_verdict():
    found = find(["reweighting_null"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["degrees between weighted and equal after ten steps"].low > 5


def test_control_a_loss_without_an_exponential_tail_keeps_the_weights(generator):
    """The squared error: its minimizers by weights differ where it cannot be zero."""
    signed = separable(30, 20, generator)  # more examples than dimensions
    ends = [
        torch.linalg.lstsq(c.sqrt()[:, None] * signed, c.sqrt()[:, None]).solution[:, 0]
        for c in weightings(30, generator)[:2]
    ]
    assert angle(*ends) > 5


def test_control_without_training_to_the_end_the_separator_is_not_reached(generator):
    """The mean of the weighted examples, where training sets out, is another direction."""
    signed = separable(30, 50, generator)
    out = weightings(30, generator)[1] @ signed
    assert 1 - angle(out, max_margin(signed)).deg2rad().cos() > 1e-2
