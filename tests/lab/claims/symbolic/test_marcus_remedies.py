import torch
from torch import nn

from offmap.lab.claims.symbolic.identity import binary
from offmap.lab.claims.symbolic.marcus_remedies import Residual, one_for_all
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["marcus_remedies"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["control, 10 places"].high == 0.0  # as it is without a remedy


def test_a_residual_network_begins_as_the_identity_and_can_leave_it():
    x = binary(torch.arange(16), 4)
    net = Residual(4)
    assert torch.equal(net(x), x)
    nn.init.ones_(net.rest.head.bias)
    assert torch.equal(net(x), x + 1)


def test_shared_weights_treat_every_place_alike():
    x = binary(torch.arange(32), 5)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(1))
    net = one_for_all()
    torch.testing.assert_close(net(x)[:, order], net(x[:, order]))
    assert net(x).shape == x.shape
    one = net(torch.tensor([[0.0], [1.0]]))  # a network of one place does as well
    torch.testing.assert_close(net(x), torch.where(x > 0, one[1], one[0]))
