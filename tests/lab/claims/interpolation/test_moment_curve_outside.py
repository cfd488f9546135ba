from fractions import Fraction

import torch

from offmap.lab.claims.interpolation import moment_curve_outside as module
from offmap.lab.run import find
from offmap.numerics.hull import membership


def test_verdict():
    assert find(["moment_curve_outside"], scale="smoke")[0].verdict == "supported"


def test_certificate_holds_in_rational_arithmetic(generator):
    """Of the parabola among 2,000 points: the direction that is given separates, exactly."""
    points = module._moments(2000, 2, generator)
    queries = module._moments(5, 2, generator)
    found = membership(points, queries)
    for row in range(5):
        a, b = (Fraction(x) for x in found.normal[row].tolist())
        heights = [a * Fraction(x) + b * Fraction(y) for x, y in points.tolist()]
        x, y = queries[row].tolist()
        assert a * Fraction(x) + b * Fraction(y) > max(heights)


def test_powers(generator):
    rows = module._moments(10, 4, generator)
    assert torch.allclose(rows[:, 3], rows[:, 0] ** 4)
    assert rows[:, 0].abs().max() <= 1


def test_a_straight_curve_breaks_it(monkeypatch, generator):
    """All weights of a segment in the plane are exact: two points suffice."""
    real = module._moments
    monkeypatch.setattr(module, "_moments", lambda n, d, g: real(n, 1, g).expand(n, d).clone())
    trial = module.moment_curve_outside(
        dimensions=(2,), counts=(50,), hulls=1, queries=20, generator=generator
    )
    assert trial.effect > 0.5
