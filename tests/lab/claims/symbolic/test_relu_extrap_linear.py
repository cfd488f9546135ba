import torch

from offmap.lab.claims.symbolic.networks import first_layer
from offmap.lab.claims.symbolic.rays import learned, relative_error
from offmap.lab.run import find
from offmap.models.mlp import MLP


def test_smoke_verdict():
    assert find(["relu_extrap_linear"], scale="smoke")[0].verdict == "supported"


def line(slope):
    net = MLP(1, (2,), 1).double()
    with torch.no_grad():
        first_layer(net).weight.copy_(torch.tensor([[1.0], [-1.0]]))
        first_layer(net).bias.zero_()
        net.head.weight.copy_(torch.tensor([[slope, -slope]]))
        net.head.bias.zero_()
    return net


def test_errors_of_networks_that_are_lines():
    assert relative_error([line(2.0)], "2 x") == 0
    assert abs(relative_error([line(2.5)], "2 x") - 0.25) < 1e-12
    assert abs(relative_error([line(2.0), line(3.0)], "2 x") - 0.25) < 1e-12


def test_without_training_it_is_far_off(generator):
    """The control: what goes on is what was learned, not the architecture."""
    fresh = learned(("2 x",), 16, 1, 2, generator=generator)["2 x"]
    assert relative_error(fresh, "2 x") > 0.5
