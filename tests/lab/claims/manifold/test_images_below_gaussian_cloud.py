"""The dimension of images beside that of their Gaussian cloud."""

import pytest
import torch

from offmap.lab.claims.manifold.dimensions_read import dimensions, looked_up
from offmap.lab.claims.manifold.images_below_gaussian_cloud import (
    gaussian_cloud,
    images_below_gaussian_cloud,
)
from offmap.lab.data import Images
from offmap.lab.run import find
from offmap.lab.worlds import gaussian, torus
from offmap.numerics.dimension import maximum_likelihood, two_nn

MODULE = "offmap.lab.claims.manifold.images_below_gaussian_cloud"


def test_the_verdict():
    assert find(["images_below_gaussian_cloud"], scale="smoke")[0].verdict == "supported"


def test_the_cloud_has_the_covariance_of_the_points(generator):
    scales = torch.tensor([3.0, 1.0, 0.2])
    points = gaussian(1000, 3, generator=generator) * scales + 5
    clouds = torch.cat([gaussian_cloud(points, generator) for _ in range(20)])
    torch.testing.assert_close(clouds.T.cov(), points.T.cov(), atol=0.3, rtol=0.06)
    expected = points.mean(dim=0)
    assert bool(((clouds.mean(dim=0) - expected).abs() < 4 * scales / 20000**0.5).all())


def test_the_estimates_are_those_of_the_kernels_and_right_on_a_torus(generator):
    near = looked_up(torus(1500, 2, 8, generator=generator), queries=1000)
    found = dimensions(near)
    assert found["TwoNN"] == two_nn(near)
    assert found["maximum likelihood, 10 neighbors"] == maximum_likelihood(near, k=10)
    for one in found.values():
        assert one.value == pytest.approx(2, abs=0.25)


def test_a_gaussian_cloud_is_not_below_its_own(generator, monkeypatch):
    """The control: where data are an ellipsoid, the claim is not supported."""
    points = gaussian(1200, 36, generator=generator).float().view(-1, 1, 6, 6)
    none = torch.zeros(0, dtype=torch.int64)
    images = Images(points, none, points[:0], none)
    monkeypatch.setattr(f"{MODULE}.digits", lambda: images)
    trial = images_below_gaussian_cloud(n=1200, queries=600, generator=generator)
    assert 1 < trial.effect < 1.2
