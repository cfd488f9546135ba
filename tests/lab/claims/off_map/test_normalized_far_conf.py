import torch
from torch.nn.functional import layer_norm

from offmap.lab.claims.off_map.normalized_far_conf import Normalized
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["normalized_far_conf"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["accuracy"].low > 0.9  # it is a network that learned its digits


def test_it_is_layer_normalization_without_an_epsilon(generator):
    net = Normalized((8,)).double()
    x = torch.rand(5, 64, generator=generator, dtype=torch.double)
    torch.testing.assert_close(net(x), net.rest(layer_norm(x, (64,), eps=1e-300)))


def test_without_the_normalization_answers_change(generator):
    """The control: the same weights, seeing the distance."""
    net = Normalized((8,)).double()
    x = torch.rand(5, 64, generator=generator, dtype=torch.double)
    torch.testing.assert_close(net(1000 * x), net(x))
    apart = (net.rest(1000 * x).softmax(dim=1) - net.rest(x).softmax(dim=1)).abs().max()
    assert apart > 1e-3
