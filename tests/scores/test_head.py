"""What the scores that read the head refuse: a network that goes on behind it."""

import pytest
import torch

from offmap.catalog import scores
from offmap.inputs import Features
from offmap.score import Known
from offmap.table import TensorTable

LINEAR = ("gradient_norm", "virtual_logit", "react", "ash", "scale")
FEATURES = torch.rand(40, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=LINEAR)
def score(request):
    return scores()[request.param]


def test_a_softmax_behind_the_head_does_not_matter(score, behind, fit, linear):
    one = fit(score, behind(FEATURES, linear(12, 3)))
    other = fit(score, behind(FEATURES, linear(12, 3), lambda out: out.log_softmax(dim=1)))
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())


@pytest.mark.parametrize("after", [torch.tanh, torch.relu, lambda out: out / 3, lambda out: -out])
def test_anything_else_behind_the_head_does(score, behind, fit, linear, after):
    with pytest.raises(ValueError, match=r"expected the network's outputs from its head 'head', g"):
        fit(score, behind(FEATURES, linear(12, 3), after))


def test_a_layer_that_is_not_the_last(score, behind, fit, linear):
    with pytest.raises(ValueError, match="an output for each class, got 5 outputs of 'head' for 3"):
        fit(score, behind(FEATURES, linear(12, 5), lambda out: out[:, :3]))


def test_a_network_that_does_not_classify(score, fit, linear):
    features = Features(TensorTable(FEATURES), "head", 2**30)
    known = Known(TensorTable(FEATURES), None, None, features, linear(12, 3), 2**30)
    with pytest.raises(ValueError, match=r"does no classification|expected a classifier, got"):
        fit(score, known)


def test_a_network_without_a_head(score, behind, answering, fit, linear):
    with pytest.raises(ValueError, match="set feature_layer"):
        fit(score, answering(FEATURES[:, :3]))
    known = behind(FEATURES, linear(12, 3))
    bare = Known(known.inputs, known.targets, known.logits, known.features, None, known.memory)
    with pytest.raises(ValueError, match="the network has no linear head"):
        fit(score, bare)


def test_a_head_without_a_bias(score, behind, fit, linear):
    with_zeros = linear(12, 3, bias=True)
    with torch.no_grad():
        with_zeros.bias.zero_()
    without = linear(12, 3, bias=False)
    with torch.no_grad():
        without.weight.copy_(with_zeros.weight)
    one, other = (fit(score, behind(FEATURES, head)) for head in (with_zeros, without))
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())
