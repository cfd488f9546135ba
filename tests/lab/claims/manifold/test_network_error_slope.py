"""The slope of a network's error over n."""

from offmap.lab.claims.manifold.network_error_slope import network_error_slope
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["network_error_slope"], scale="smoke")
    assert finding.verdict == "supported"
    lookup = finding.parts["-d x slope, nearest neighbor"]
    assert lookup.low > 0.7
    assert lookup.high < 1.3  # its own law is 1


def test_a_network_that_is_not_trained_learns_nothing_from_more_data(generator):
    """The control: the slope is that of what was learned."""
    trial = network_error_slope(
        sizes=(32, 256), width=32, updates=8, repeats=1, generator=generator
    )
    assert trial.effect < 1
    assert trial.parts["RMSE, n = 256"] > 0.3  # the target's standard deviation is 0.7
