import numpy as np

from offmap.lab.claims.implicit_bias.factorization_lowest_rank import complete
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["factorization_lowest_rank"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["residual"].high < 1e-6


def test_a_large_start_is_the_control(generator):
    """From a start of norm one the rank is not low, and the end is not that of rank one."""
    trial = complete(1e-4, 30_000, generator)
    assert trial["second over first eigenvalue"][0] > 0.01
    excess = np.array(trial["excess of the nuclear norm"])
    assert excess[0] < excess[-1]
    np.testing.assert_allclose(excess[-1], trial["excess of rank one"][0], rtol=0.05)
