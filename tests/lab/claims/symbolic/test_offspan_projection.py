import torch

from offmap.lab.claims.symbolic.offspan_projection import projected
from offmap.lab.run import find
from offmap.models.mlp import MLP
from offmap.numerics.span import span_of


def test_smoke_verdict():
    finding = find(["offspan_projection"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["answers changed by noise, before"].low > 0.0
    assert finding.parts["answers changed by noise, after"].high == 0.0


def test_in_a_slanted_plane_answers_stay_and_off_it_nothing_counts(generator):
    axes = torch.randn(3, 9, generator=generator, dtype=torch.double)
    x = torch.randn(40, 3, generator=generator, dtype=torch.double) @ axes + 1
    net, span = MLP(9, (16,), 2).double(), span_of([x])
    less = projected(net, span)
    off = torch.randn(40, 9, generator=generator, dtype=torch.double)
    basis = torch.linalg.qr(torch.cat([axes, torch.ones(1, 9).double()]).T).Q  # and its shift
    off -= off @ basis @ basis.T  # orthogonal to all x, by another road than the claim's
    with torch.no_grad():
        torch.testing.assert_close(less(x), net(x))
        torch.testing.assert_close(less(x + off), less(x))
        assert (net(x + off) - net(x)).abs().max() > 0.01  # the control: as it was


def test_seen_directions_still_count(generator):
    x = torch.randn(40, 3, generator=generator, dtype=torch.double)
    net = MLP(3, (16,), 2).double()
    less = projected(net, span_of([x]))
    with torch.no_grad():
        torch.testing.assert_close(less(5 * x), net(5 * x))
