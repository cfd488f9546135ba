from math import e, sqrt

import mpmath
import pytest

from offmap.lab.claims.interpolation import gaussian_hull_growth as module
from offmap.lab.run import find
from offmap.numerics.hull import samples_needed


def test_verdict():
    found = find(["gaussian_hull_growth"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.finished[0].parts["points for an even chance in 7 dimensions"] == 555


def outside(count, dimension):
    """Kabluchko and Zaporozhets, term by term, with complex powers in many digits."""

    def power(n, r):
        root = mpmath.sqrt(r)  # imaginary for r < 0
        value = mpmath.quad(
            lambda z: ((1 + mpmath.erf(root * z / mpmath.sqrt(2))) / 2) ** n * mpmath.npdf(z),
            [-12, -4, 0, 4, 12],
        )
        return mpmath.re(value)

    with mpmath.workdps(25):
        return 2 * sum(
            mpmath.binomial(count, k)
            * power(k, mpmath.mpf(-1) / (1 + k))
            * power(count - k, mpmath.mpf(1) / (1 + k))
            for k in range(dimension - 1, -1, -2)
        )


@pytest.mark.parametrize("d", [2, 4])
def test_fewest_points_for_an_even_chance(d):
    count = samples_needed(d)
    assert outside(count, d) <= 0.5 < outside(count - 1, d)


def test_growth_as_printed_would_be_seen(monkeypatch, generator):
    monkeypatch.setattr(module, "samples_needed", lambda d: 1000 * 2 ** (d / 2) / d)
    trial = module.gaussian_hull_growth(dimensions=(2, 50, 100), generator=generator)
    assert trial.effect == pytest.approx(sqrt(2) / sqrt(e), rel=1e-3)
    assert trial.effect < 0.99
