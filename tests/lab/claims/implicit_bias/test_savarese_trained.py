import numpy as np
import pytest
from scipy.optimize import check_grad, minimize

from offmap.lab.claims.implicit_bias import savarese_trained as unit
from offmap.lab.claims.implicit_bias.savarese_trained import start, train
from offmap.lab.run import find

X = np.array([-1.2, -0.6, -0.1, 0.4, 0.9, 1.3])
Y = np.array([0.3, -0.5, 0.4, 0.1, 0.9, 0.2])


def test_smoke_verdict():
    finding = find(["savarese_trained"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert abs(finding.parts["cost over the smallest"].value - 1) < 0.1


def distance(decays: tuple[float, ...]) -> float:
    network = start(X, 60, np.random.default_rng(0))
    for decay in decays:
        network = train(network, X, Y, decay, 600)
    at = np.linspace(X[0], X[-1], 50)
    return float(np.abs(network(at) - np.interp(at, X, Y)).max() / np.ptp(Y))


def test_without_decay_the_lines_are_not_straight():
    assert distance((1e-2, 1e-3, 1e-4)) < 0.02
    assert distance((0.0,)) > 0.05


def test_the_gradient_is_that_of_finite_differences(monkeypatch):
    seen = []

    def spy(function, flat, **options):
        seen.append((function, flat))
        return minimize(function, flat, **options)

    monkeypatch.setattr(unit, "minimize", spy)
    train(start(X, 7, np.random.default_rng(1)), X, Y, 0.01, 3)
    function, flat = seen[0]
    error = check_grad(lambda p: function(p)[0], lambda p: function(p)[1], flat)
    assert error == pytest.approx(0, abs=1e-5)
