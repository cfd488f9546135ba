import torch
from torch import nn

from offmap.lab.claims.symbolic.hinges import LENGTH, interpolant, largest_error, sine
from offmap.lab.claims.symbolic.uat_training import unscaled
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["uat_training"], scale="smoke")[0].verdict == "supported"


def test_the_scaled_network_sees_the_interval_from_minus_one_to_one():
    x = torch.linspace(0, LENGTH, 11, dtype=torch.double)[:, None]
    seen = unscaled(nn.Identity())(x).detach()
    torch.testing.assert_close(seen, torch.linspace(-1, 1, 11, dtype=torch.double)[:, None])


def test_a_written_network_has_a_ratio_of_one():
    """The control: what is as good as the construction is on the wrong side of the line."""
    written = interpolant(sine(), 16)
    back = nn.Linear(1, 1, dtype=torch.double)
    with torch.no_grad():
        back.weight.fill_(LENGTH / 2)
        back.bias.fill_(LENGTH / 2)
    again = unscaled(nn.Sequential(back, written))
    ratio = largest_error(again, sine(), 16) / largest_error(written, sine(), 16)
    assert abs(ratio - 1) < 1e-9
