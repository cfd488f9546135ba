import torch
from torch import nn

from offmap.lab.claims.symbolic.networks import first_layer
from offmap.lab.claims.symbolic.rays import far_line
from offmap.lab.run import find
from offmap.models.mlp import MLP


def ray(d, generator):
    start = torch.randn(d, generator=generator, dtype=torch.double)
    direction = torch.randn(d, generator=generator, dtype=torch.double)
    return start, direction


def test_smoke_verdict():
    assert find(["relu_extrap"], scale="smoke")[0].verdict == "supported"


def test_the_last_bend_of_hinges_is_the_last_hinge():
    net = MLP(1, (3,), 1).double()
    with torch.no_grad():
        first_layer(net).weight.copy_(torch.tensor([[1.0], [2.0], [-1.0]]))
        first_layer(net).bias.copy_(torch.tensor([-1.0, -10.0, 7.0]))  # bends at 1, 5 and 7
        net.head.weight.fill_(1.0)
        net.head.bias.fill_(0.5)
    one = torch.ones(1, dtype=torch.double)
    found = far_line(net, 0 * one, one)
    assert found.bend == 7
    torch.testing.assert_close(found.slope, 3 * one)
    torch.testing.assert_close(found.offset, -10.5 * one)
    back = far_line(net, 0 * one, -one)
    assert back.bend == 0 and back.slope.item() == 1 and back.offset.item() == 7.5


def test_beyond_the_bend_autograd_sees_the_same_slope_everywhere(generator):
    """In many dimensions, with three layers, and not before the bend."""
    net = MLP(5, (16, 16, 16), 2).double()
    start, direction = ray(5, generator)
    found = far_line(net, start, direction)

    def jacobian(t):
        return torch.autograd.functional.jacobian(
            lambda t: net((start + t * direction)[None])[0], t
        )

    for times in (1.0001, 3.0, 1e4):
        slope = jacobian(torch.tensor(found.bend * times, dtype=torch.double))
        torch.testing.assert_close(slope.detach(), found.slope)
    before = jacobian(torch.tensor(found.bend * 0.999, dtype=torch.double))
    assert (before.detach() - found.slope).abs().max() > 1e-12


def test_a_network_with_tanh_is_no_such_line(generator):
    """The control: the same weights with a function that bends everywhere."""
    net = MLP(1, (16,), 1).double()
    bent = nn.Sequential(first_layer(net), nn.Tanh(), net.head)
    one = torch.ones(1, dtype=torch.double)
    line = far_line(net, 0 * one, one)
    t = 2 * line.bend * one
    with torch.no_grad():
        torch.testing.assert_close(net(t[None])[0], line.offset + line.slope * t)
        assert (bent(t[None])[0] - line.offset - line.slope * t).abs().max() > 1e-6
