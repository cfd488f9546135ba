import torch
from scipy.optimize import minimize_scalar

from offmap.lab.claims.implicit_bias.early_stopping_ridge import WORST, risk_ratios
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_smoke_verdict():
    assert find(["early_stopping_ridge"], scale="smoke")[0].verdict == "supported"


def test_the_constant_is_the_largest_ratio_of_the_two_shares():
    best = minimize_scalar(
        lambda x: -((1 - 2.718281828459045**-x) * (1 + x) / x), bounds=(0.1, 10), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert abs(best.x - WORST) < 1e-5
    assert 1.6859 < best.fun**2 < 1.6862


def test_another_calibration_breaks_the_bound(generator):
    """With a penalty of 1/(2t), as if the loss had another factor, pure noise is past the line."""
    square = torch.linalg.qr(gaussian(12, 6, generator=generator)).Q * 12**0.5
    nothing = torch.zeros(6, dtype=torch.double)
    times = torch.linspace(0.5, 5, 50, dtype=torch.double)
    right = risk_ratios(square, nothing, times)
    assert right.max() < 1.6862
    x = times  # all eigenvalues are one
    torch.testing.assert_close(right, ((1 - torch.exp(-x)) * (1 + x) / x) ** 2)
    wrong = ((1 - torch.exp(-2 * x)) * (1 + x) / x) ** 2  # flow at 2t against ridge 1/t
    assert wrong.max() > 1.6862
