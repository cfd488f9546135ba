import torch

from offmap.lab.claim import claims
from offmap.lab.claims.symbolic.hinges import LENGTH, Wave, bound, interpolant, largest_error
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["uat_everywhere"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["first period, largest"].high < 1 + 1e-9
    assert claims()["uat_everywhere"].corrected == "uat_constructive"


def test_beyond_the_interval_the_network_is_a_line():
    target = Wave(torch.ones(1).double(), torch.zeros(1).double())
    net = interpolant(target, 8)
    x = torch.tensor([[1.1], [1.5], [1.9]], dtype=torch.double) * LENGTH
    with torch.no_grad():
        y = net(x)[:, 0]
    slope = -target.at(torch.tensor([LENGTH * 7 / 8], dtype=torch.double)) / (LENGTH / 8)
    torch.testing.assert_close(y, (x[:, 0] - LENGTH) * slope)


def test_what_is_flat_goes_on_within_its_bound():
    """The control: for a function that is nearly zero the claim would hold."""
    target = Wave(torch.zeros(2).double(), torch.zeros(2).double())
    assert largest_error(interpolant(target, 8), target, 8, times=2) == bound(target, 8) == 0
