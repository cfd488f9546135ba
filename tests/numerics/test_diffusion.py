"""Diffusion coordinates: the circle's known spectrum, a dense twin, and Nystrom's extension."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import beta, special_ortho_group

from offmap.numerics.diffusion import diffusion_map, nearest_bandwidth


def circle(angles):
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def even_circle(n):
    return circle(torch.arange(n, dtype=torch.double) * 2 * math.pi / n)


def dense_twin(points, width, k):
    """The walk written down plainly: eigenvalues and right eigenvectors of a stochastic matrix."""
    weights = np.exp(-(cdist(points, points) ** 2) / width)
    degrees = weights.sum(axis=1)
    weights = weights / np.outer(degrees, degrees)
    walk = weights / weights.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(walk)
    order = values.real.argsort()[::-1][1 : k + 1]
    return values.real[order], vectors.real[:, order]


def explained(modes, points):
    """R^2 of each column of the points as a linear function of the modes."""
    design = np.column_stack([np.ones(len(modes)), modes])
    fit = design @ np.linalg.lstsq(design, points, rcond=None)[0]
    return 1 - ((points - fit) ** 2).sum(axis=0) / ((points - points.mean(axis=0)) ** 2).sum(axis=0)


@pytest.mark.parametrize("bandwidth", [0.05, None])
def test_circle_has_the_eigenvalues_of_its_laplacian(bandwidth):
    found = diffusion_map(even_circle(400), 6, bandwidth=bandwidth)
    laplacian = -4 * found.values.log() / found.bandwidth
    expected = torch.tensor([1.0, 1, 4, 4, 9, 9], dtype=torch.double)
    torch.testing.assert_close(laplacian, expected, rtol=0.02, atol=0)
    assert min(explained(found.modes[:, :2].numpy(), even_circle(400).numpy())) > 1 - 1e-9


def test_density_is_divided_out():
    """Angles by the quantiles of Beta(2, 2): the circle is found although one side is dense."""
    angles = 2 * math.pi * beta(2, 2).ppf((np.arange(1000) + 0.5) / 1000)
    points = circle(torch.from_numpy(angles))
    ours = explained(diffusion_map(points, 2, bandwidth=0.02).modes.numpy(), points.numpy())
    left_in = torch.from_numpy(np.exp(-(cdist(points, points) ** 2) / 0.02))  # alpha = 0
    root = left_in.sum(dim=1).sqrt()
    vectors = torch.linalg.eigh(left_in / root / root[:, None]).eigenvectors[:, [-2, -3]]
    biased = explained((vectors / root[:, None]).numpy(), points.numpy())
    assert min(ours) > 0.99 > 0.9 > min(biased)


def test_matches_the_dense_twin(generator):
    points = torch.randn(60, 3, generator=generator, dtype=torch.double)
    found = diffusion_map(points, 5, bandwidth=1.5)
    values, vectors = dense_twin(points, 1.5, 5)
    np.testing.assert_allclose(found.values.numpy(), values, rtol=1e-9)
    for ours, theirs in zip(found.modes.T.numpy(), vectors.T, strict=True):
        assert abs(np.corrcoef(ours, theirs)[0, 1]) == pytest.approx(1, abs=1e-9)
    assert bool((found.modes.max(dim=0).values == found.modes.abs().max(dim=0).values).all())


def test_modes_have_mean_0_and_variance_1_under_the_walk(generator):
    points = torch.randn(60, 3, generator=generator, dtype=torch.double)
    found = diffusion_map(points, 4, bandwidth=2.0)
    weights = np.exp(-(cdist(points, points) ** 2) / 2.0)
    weights /= np.outer(weights.sum(axis=1), weights.sum(axis=1))
    law = weights.sum(axis=1) / weights.sum()
    modes = found.modes.numpy()
    np.testing.assert_allclose(law @ modes, 0, atol=1e-10)
    np.testing.assert_allclose(modes.T @ (law[:, None] * modes), np.eye(4), atol=1e-10)


def test_extension_puts_landmarks_where_they_were(generator):
    points = torch.randn(80, 5, generator=generator)
    found = diffusion_map(points, 4)
    places, masses = found.place(points)
    torch.testing.assert_close(places, found.coordinates, rtol=0, atol=1e-9)
    torch.testing.assert_close(masses, found.log_degrees)


def test_extension_is_smooth_on_the_circle():
    """Halfway between landmarks the coordinates are those of the circle."""
    found = diffusion_map(even_circle(200), 2, bandwidth=0.05)
    places, _ = found.place(even_circle(400))
    radius = places.norm(dim=1)
    torch.testing.assert_close(radius, radius[:1].expand(400), rtol=1e-6, atol=0)


def test_far_points_are_placed_and_told(generator):
    points = torch.randn(80, 3, generator=generator, dtype=torch.double)
    found = diffusion_map(points, 3)
    places, masses = found.place(1e6 * points[:5])
    assert bool(places.isfinite().all())
    assert bool((masses < -1e9).all())
    assert found.place(points[:0])[0].shape == (0, 3)


def test_two_clouds_are_the_slowest_mode(generator):
    cloud = torch.randn(50, 2, generator=generator, dtype=torch.double)
    found = diffusion_map(torch.cat([cloud, cloud[:30] + 100]), 2)
    assert found.values[0].item() == pytest.approx(1, abs=1e-12)
    assert found.values[1] < 0.999
    first, second = found.modes[:50, 0], found.modes[50:, 0]
    assert first.std() < 1e-9 > second.std()
    assert abs(first.mean() - second.mean()) > 1


def test_invariant_to_rotation_unit_shift_and_order(generator):
    points = torch.randn(60, 4, generator=generator, dtype=torch.double)
    turn = torch.from_numpy(special_ortho_group(4, seed=1).rvs())
    order = torch.randperm(60, generator=generator)
    one = diffusion_map(points, 3)
    other = diffusion_map((7 * points @ turn + 3)[order], 3)
    assert other.bandwidth == pytest.approx(49 * one.bandwidth)
    torch.testing.assert_close(other.values, one.values)
    torch.testing.assert_close(other.modes, one.modes[order])


def test_bandwidth_is_that_of_the_point_farthest_from_others():
    points = torch.tensor([[0.0], [1.0], [1.5], [4.0]], dtype=torch.double)
    squares = torch.from_numpy(cdist(points, points, "sqeuclidean"))
    assert nearest_bandwidth(squares) == 6.25


def test_refuses_what_has_no_map(generator):
    points = torch.randn(20, 2, generator=generator)
    with pytest.raises(ValueError, match="1 <= k < 20 landmarks, got k = 20"):
        diffusion_map(points, 20)
    with pytest.raises(ValueError, match=r"bandwidth > 0, got 0\.0: are all landmarks equal"):
        diffusion_map(torch.ones(20, 2), 2)
    with pytest.raises(ValueError, match="bandwidth > 0, got -1"):
        diffusion_map(points, 2, bandwidth=-1.0)
    with pytest.raises(ValueError, match="finite landmarks"):
        diffusion_map(torch.full((20, 2), torch.inf), 2)
