import pytest
import torch
from torch.nn import functional

from offmap.score import Seen
from offmap.scores.gradient_norm import gradient_norm


def slow(head, features):
    """The gradient of KL(uniform || softmax) by the head's weight, row by row, by autograd."""
    norms = []
    for row in features:
        log_p = head(row).log_softmax(dim=0)
        uniform = torch.full_like(log_p, 1 / len(log_p))
        loss = functional.kl_div(log_p, uniform, reduction="sum")
        (slope,) = torch.autograd.grad(loss, head.weight)
        norms.append(slope.abs().sum().item())
    return norms


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("after", [lambda out: out, lambda out: out.log_softmax(dim=1)])
def test_is_minus_the_length_of_the_real_gradient(behind, fit, linear, generator, bias, after):
    head = linear(6, 4, bias=bias).double()
    features = torch.randn(40, 6, generator=generator).double()
    known = behind(features, head, after)
    values = fit(gradient_norm, known)(Seen(features, known.logits, features))
    assert (-values).tolist() == pytest.approx(slow(head, features), rel=1e-9)


def test_small_features_are_strange(behind, fit, linear, generator):
    """As in the paper: in-distribution gradients are the longer ones."""
    head = linear(6, 4)
    features = torch.randn(40, 6, generator=generator)
    score = fit(gradient_norm, behind(features, head))
    with torch.no_grad():
        usual = score(Seen(features, head(features), features))
        faint = score(Seen(features, head(features / 10), features / 10))
    assert (faint > usual).all()
