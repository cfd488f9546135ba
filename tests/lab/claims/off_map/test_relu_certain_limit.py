import torch

from offmap.lab.claims.off_map.relu_certain_limit import tanh_network
from offmap.lab.claims.off_map.sure_digits import answers
from offmap.lab.run import find
from offmap.models.mlp import MLP
from offmap.numerics.certainty import confidence_at_infinity


def test_smoke_verdict():
    finding = find(["relu_certain_limit"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["ReLU: rays that are lines by then"].low > 0.99
    assert finding.parts["tanh: limits of 1"].high < 0.01  # the control
    assert finding.parts["tanh: mean limit"].high < 0.999


def test_bounded_networks_have_the_limit_of_their_signs(generator):
    net = tanh_network((16,)).double()
    x = 1e6 * torch.randn(50, 64, generator=generator, dtype=torch.double)
    limit = confidence_at_infinity(*(answers([net], a * x)[0] for a in (1, 2, 4)))
    with torch.no_grad():
        saturated = (x @ net[0].weight.T).sign()
        expected = (saturated @ net[2].weight.T + net[2].bias).softmax(dim=1).amax(dim=1)
    torch.testing.assert_close(limit, expected)


def test_where_all_slopes_are_equal_the_limit_is_not_one(generator):
    """The premise broken: logits that all rise alike."""
    net = MLP(64, (16,), 10).double()
    with torch.no_grad():
        net.head.weight.copy_(net.head.weight[:1].expand(10, -1))
    x = 1e3 * torch.rand(50, 64, generator=generator, dtype=torch.double)
    limit = confidence_at_infinity(*(answers([net], a * x)[0] for a in (1, 2, 4)))
    expected = net.head.bias.detach().softmax(dim=0).max().expand(50)
    torch.testing.assert_close(limit, expected)
