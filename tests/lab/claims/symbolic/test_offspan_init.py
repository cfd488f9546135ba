import torch
from torch import nn

from offmap.lab.claims.symbolic.offspan_init import off_and_along
from offmap.lab.run import find
from offmap.numerics.span import span_of
from offmap.run import Split


def test_smoke_verdict():
    finding = find(["offspan_init"], scale="smoke")[0]
    assert finding.verdict == "supported"
    usual, small = (
        finding.parts[f"slope along it, {start}"].value
        for start in ("as usual", "ten times smaller")
    )
    assert 0.5 < usual / small < 2  # what is learned is learned from either start


def test_the_slopes_of_a_linear_function_are_its_coefficients(generator):
    x = torch.randn(20, 5, generator=generator, dtype=torch.double)
    x[:, 3:] = 0
    net = nn.Linear(5, 1, dtype=torch.double)
    found = off_and_along(net, Split(x, x[:, :1]), span_of([x], affine=False))
    weight = net.weight[0].detach()
    torch.testing.assert_close(found, torch.stack([weight[3:].norm(), weight[:3].norm()]))


def test_the_same_start_gives_no_ratio(generator):
    """The control: data that take all directions leave nothing off their span."""
    x = torch.randn(20, 5, generator=generator, dtype=torch.double)
    net = nn.Linear(5, 1, dtype=torch.double)
    off, along = off_and_along(net, Split(x, x[:, :1]), span_of([x], affine=False))
    assert off == 0 and along > 0
