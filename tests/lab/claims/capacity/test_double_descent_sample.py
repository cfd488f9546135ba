import numpy as np
import pytest

from offmap.lab.claims.capacity.double_descent_sample import risks_of_sizes
from offmap.lab.claims.capacity.least_squares import deviation
from offmap.lab.run import find

SIZES = (10, 20, 30, 50, 120)


def test_verdict():
    assert find(["double_descent_sample"], scale="smoke")[0].verdict == "supported"


def test_law_as_printed(generator):
    _, law = risks_of_sizes(100, (30, 80, 130, 400), 2, 0.5, generator)
    printed = [0.7 + 0.25 * 30 / 69, 0.2 + 0.25 * 80 / 19, 25 / 29, 25 / 299]
    np.testing.assert_allclose(law.numpy(), printed)


def test_risk_is_that_of_lapack_fits(generator):
    """A slow twin in numpy, with other random numbers."""
    rng, errors = np.random.default_rng(0), []
    for _ in range(300):
        x, truth = rng.standard_normal((12, 20)), np.eye(20)[0]
        fit = np.linalg.pinv(x) @ (x @ truth + rng.normal(0, 0.5, 12))
        errors.append(((fit - truth) ** 2).sum())
    risks, _ = risks_of_sizes(20, (12,), 300, 0.5, generator)
    spread = np.hypot(np.std(errors), risks.std().item()) / 300**0.5
    assert abs(np.mean(errors) - risks.mean().item()) < 4 * spread


@pytest.mark.parametrize(("p", "noise"), [(41, 0.5), (40, 0.6)])
def test_control_another_law_is_told_apart(p, noise, generator):
    risks, _ = risks_of_sizes(40, SIZES, 300, 0.5, generator)
    _, other = risks_of_sizes(p, SIZES, 2, noise, generator)
    assert deviation(risks, other).abs().max() > 4
