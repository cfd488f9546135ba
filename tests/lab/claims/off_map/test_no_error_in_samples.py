"""Random points miss errors that are there."""

from scipy.stats import beta

from offmap.lab.claims.off_map.no_error_in_samples import no_error_in_samples
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["no_error_in_samples"], scale="smoke")
    assert finding.verdict == "refuted"
    assert finding.statement.corrected == "quadratic_sphere_errors"


def test_it_is_no_wonder_that_points_miss_the_errors():
    """An error needs 1.02 z^2 + (1 - z^2) a > 1 with a the mean of the others, about 0.8."""
    least = 1 - 0.02 / (1.02 - 0.9)  # z^2, had the others as much as 0.9
    assert beta(0.5, 49 / 2).sf(least) * 4000 < 1e-3


def test_in_three_dimensions_random_points_do_find_them(generator):
    """The control: what hides errors is the dimension."""
    trial = no_error_in_samples(n=3, networks=40, beyond=0.05, points=4000, generator=generator)
    assert trial.effect == 0
    assert trial.parts["networks with errors"] == 0.5
