from math import log

import pytest
import torch

from offmap.lab.claims.interpolation import hull_share_falls as module
from offmap.lab.run import find
from offmap.numerics.hull import inside_probability


def test_verdict():
    assert find(["hull_share_falls"], scale="smoke")[0].verdict == "supported"


def test_effect_is_the_second_difference_of_the_logarithm(generator):
    trial = module.hull_share_falls(examples=60, data={}, generator=generator)
    a, b, c = (trial.parts[f"digits, {d} components: inside"] for d in (4, 6, 8))
    assert trial.effect == pytest.approx(2 * log(b) - log(a) - log(c))


def test_so_does_the_law_for_gaussian_points():
    laws = [log(inside_probability(1400, d)) for d in range(2, 20)]
    assert all(2 * b > a + c for a, b, c in zip(laws, laws[1:], laws[2:], strict=False))


def test_a_straight_exponential_has_no_bend(monkeypatch, generator):
    """Independent coordinates, each kept within the range of a box with chance one half."""
    box = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 8).double()
    inside = 2.0 * torch.rand(400, 8, generator=generator, dtype=torch.double)
    monkeypatch.setattr(module, "components", lambda *_, **__: (box, inside))
    monkeypatch.setitem(module.DIMENSIONS, "digits", (1, 2, 3))
    trial = module.hull_share_falls(examples=400, data={}, generator=generator)
    assert abs(trial.effect) < 0.5  # shares 1/2, 1/4, 1/8
    assert trial.parts["digits, 3 components: inside"] == pytest.approx(1 / 8, abs=0.07)
