import pytest
from scipy import integrate, stats

from offmap.lab.claims.interpolation import distance_law as module
from offmap.lab.run import find


def test_verdict():
    assert find(["distance_law"], scale="smoke")[0].verdict == "supported"


@pytest.mark.parametrize("d", [1, 2, 10, 784])
def test_mean_distance_is_that_of_chi(d):
    assert module.mean_distance(d) == pytest.approx(2**0.5 * stats.chi(d).mean(), rel=1e-9)


def test_in_one_dimension_by_an_integral():
    mean = integrate.quad(lambda t: abs(t) * stats.norm.pdf(t, scale=2**0.5), -30, 30, points=[0])[
        0
    ]
    assert module.mean_distance(1) == pytest.approx(mean)


def test_the_distance_varies_by_no_more_than_one():
    for d in (1, 2, 10, 100, 1000):
        assert 0.8 < (2 * d - module.mean_distance(d) ** 2) ** 0.5 <= 1


def test_another_spread_breaks_it(monkeypatch, generator):
    real = module.gaussian
    monkeypatch.setattr(
        module, "gaussian", lambda n, d, generator: 1.1 * real(n, d, generator=generator)
    )
    trial = module.distance_law(
        dimensions=(10,), pairs=2000, clouds=20, points=50, generator=generator
    )
    assert trial.effect > 4
