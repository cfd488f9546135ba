import numpy as np

from offmap.lab.claims.implicit_bias.circular import Trained
from offmap.lab.claims.implicit_bias.linear_conv_depth import misplaced
from offmap.lab.claims.implicit_bias.max_margin import hard_margin
from offmap.lab.run import find


def test_smoke_verdict_and_other_norms_as_the_control():
    finding = find(["linear_conv_depth"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["1 layers, were it l1"].low > 0.05
    assert finding.parts["3 layers, were it l1"].value > finding.parts["3 layers"].value


def test_the_hard_margin_solution_is_stationary_for_the_l2_norm():
    z = np.random.default_rng(0).standard_normal((5, 11))
    w, multipliers = hard_margin(z)
    exact = Trained(np.fft.rfft(w)[None], np.fft.rfft(z.T @ multipliers)[None])
    assert misplaced(exact, 2.0, 11)[0] < 1e-10
    assert misplaced(exact, 1.0, 11)[0] > 0.05


def test_a_stationary_point_made_by_hand_for_three_layers():
    c = np.array([[1.0 + 0j, 2j, -3.0, 0.0]])
    g = np.where(c == 0, 0, c / np.abs(c + (c == 0)) ** (4 / 3))  # the gradient of |c|^(2/3)
    assert misplaced(Trained(c, g), 2 / 3, 7)[0] < 1e-12
