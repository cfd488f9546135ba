"""Caps are the farthest sets of their measure."""

import math

import pytest
import torch
from scipy.stats import beta

from offmap.lab.claims.off_map import error_set_distance as file
from offmap.lab.claims.off_map.sphere_caps import (
    cap_cosine,
    cap_measure,
    gilmer_bound,
    mean_distance_to_cap,
)
from offmap.lab.run import find
from offmap.lab.worlds import sphere


def test_the_verdict():
    assert find(["error_set_distance"], scale="smoke")[0].verdict == "supported"


@pytest.mark.parametrize("n", [3, 10, 500])
def test_measures_of_caps_are_tails_of_a_beta_law(n):
    for cosine in (0.0, 0.05, 0.3):
        law = beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)
        assert cap_measure(cosine, n) == pytest.approx(law.sf(cosine), rel=1e-6)
        assert cap_cosine(cap_measure(cosine, n), n) == pytest.approx(cosine, abs=1e-6)


def test_the_mean_distance_on_the_ordinary_sphere_has_a_closed_form():
    """To a half sphere, from a point at an angle a below its edge, whose density is cos(a) / 2.

    With u = cos(a / 2), 2 sin(a / 2) cos(a) da / 2 is -2 (2 u^2 - 1) du.
    """
    u = math.cos(math.pi / 4)
    closed = 2 * ((2 / 3 - 1) - (2 * u**3 / 3 - u))
    assert mean_distance_to_cap(0.5, 3) == pytest.approx(closed)


def test_the_law_tends_to_the_gaussian_bound():
    ratios = [mean_distance_to_cap(0.001, n) / gilmer_bound(0.001, n) for n in (20, 200, 20000)]
    assert abs(ratios[2] - 1) < 0.01
    assert abs(ratios[2] - 1) < abs(ratios[0] - 1)


def test_distances_to_sets_are_the_nearest_of_many_points_in_them(generator):
    """A slow twin in three dimensions: the sets as clouds of points."""
    cloud, fresh = sphere(400000, 3, generator=generator), sphere(30, 3, generator=generator)
    edge = math.sqrt(0.5)
    narrow = cap_cosine(0.5 * 0.9, 3)
    members = {
        file.CAP: cloud[:, 0] >= cap_cosine(0.1, 3),
        file.OPPOSITE: cloud[:, 0].abs() >= cap_cosine(0.05, 3),
        file.AXES: cloud.abs().amax(dim=1) >= edge,
        file.BAND: cloud[:, 0].abs() <= narrow,
    }
    for name, (measure, distance) in file._sets(fresh, 0.1, 3).items():
        share = members[name].double().mean().item()
        assert abs(share - measure) < 4 * math.sqrt(measure * (1 - measure) / 400000) + 1e-9
        nearest = torch.cdist(fresh, cloud[members[name]]).amin(dim=1)
        torch.testing.assert_close(distance, nearest, atol=0.02, rtol=0)


def test_a_smaller_cap_than_stated_refutes_the_law(generator, monkeypatch):
    """The control: a set that is smaller than it says is farther than the law allows."""
    monkeypatch.setattr(file, "cap_cosine", lambda measure, n: cap_cosine(measure / 3, n))
    trial = file.error_set_distance(
        dimensions=(50,), measure=0.01, points=4000, generator=generator
    )
    assert trial.effect > 4
