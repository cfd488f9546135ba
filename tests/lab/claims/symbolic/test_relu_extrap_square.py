import torch

from offmap.lab.claim import claims
from offmap.lab.claims.symbolic.rays import EDGE, FAR, TARGETS, far_points
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["relu_extrap_square"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert claims()["relu_extrap_square"].corrected == "relu_extrap"


def test_the_tangent_at_the_edge_is_off_by_what_the_docstring_says():
    x = far_points(1)
    tangent = EDGE**2 + 2 * EDGE * (x - EDGE)
    error = (TARGETS["x^2"](x) - tangent) / TARGETS["x^2"](x)
    torch.testing.assert_close(error, (1 - EDGE / x) ** 2)
    assert error[0].item() == 0.25 and abs(error[-1].item() - 0.5625) < 1e-12
    assert (x[0].item(), x[-1].item()) == FAR
