import numpy as np

from offmap.lab.claims.implicit_bias.factorization_lowest_rank import complete
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["factorization_completion"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["residual"].high < 1e-6


def test_the_excess_grows_as_the_start_vanishes(generator):
    """Smaller starts do not mend it: the excess goes to that of rank one."""
    trial = complete(1e-4, 30_000, generator)
    assert np.all(np.diff(trial["excess of the nuclear norm"][2:]) > -1e-3)
    assert trial["excess of the nuclear norm"][-1] > trial["excess of the nuclear norm"][2] + 0.01
    assert max(trial["gap between the bounds of the least"]) < 1e-6
