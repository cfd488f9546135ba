"""The law of neighbor distances, and the search across glued faces."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.spatial import cKDTree
from scipy.special import factorial
from scipy.stats import binom

from offmap.lab.claims.manifold.neighbor_distance_law import nearest_on_torus
from offmap.lab.claims.manifold.neighbor_law import ball_volume, mean_distance
from offmap.lab.run import find


def test_the_verdict():
    assert find(["neighbor_distance_law"], scale="smoke")[0].verdict == "supported"


@pytest.mark.parametrize(("n", "d", "k", "power"), [(20, 1, 1, 1), (300, 2, 3, 1), (90, 5, 2, 2)])
def test_the_law_is_the_integral_of_its_tail(n, d, k, power):
    """E r^p is the integral of p r^(p-1) P(r_k > r), where fewer than k of n are within r."""
    reach = ball_volume(d) ** (-1 / d)

    def tail(r):
        return power * r ** (power - 1) * binom.cdf(k - 1, n, ball_volume(d) * r**d)

    expected = quad(tail, 0, reach, limit=200)[0]
    assert mean_distance(n, d, k=k, power=power) == pytest.approx(expected, rel=1e-6)
    assert mean_distance(n, d, k=k, volume=3.0**d) == pytest.approx(3 * mean_distance(n, d, k=k))


@pytest.mark.parametrize(("n", "d", "k"), [(20, 2, 3), (50, 5, 1)])
def test_the_law_is_the_published_one(n, d, k):
    """Percus and Martin 1998, as its review states it, in factorials."""
    share = factorial(k - 1 + 1 / d) / factorial(k - 1) * factorial(n) / factorial(n + 1 / d)
    expected = factorial(d / 2) ** (1 / d) / math.sqrt(math.pi) * share
    assert mean_distance(n, d, k=k) == pytest.approx(expected)


def test_volumes_and_the_limit():
    assert [ball_volume(d) for d in (1, 2, 3)] == pytest.approx([2, math.pi, 4 * math.pi / 3])
    limit = math.gamma(1.25) * (10**6 * ball_volume(4)) ** -0.25
    assert mean_distance(10**6, 4) == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_distances_across_faces_are_those_of_a_periodic_tree(d, generator):
    bank = torch.rand(150, d, generator=generator, dtype=torch.double)
    queries = torch.rand(60, d, generator=generator, dtype=torch.double)
    expected, _ = cKDTree(bank.numpy(), boxsize=1).query(queries.numpy(), k=3)
    found = nearest_on_torus(queries, bank, 3)
    torch.testing.assert_close(found, torch.from_numpy(expected))


def test_too_few_points_for_the_law_are_refused(generator):
    """Three points in five dimensions: balls would meet themselves."""
    bank = torch.rand(3, 5, generator=generator, dtype=torch.double)
    queries = torch.rand(50, 5, generator=generator, dtype=torch.double)
    with pytest.raises(ValueError, match="expected neighbors within"):
        nearest_on_torus(queries, bank, 3)


def test_a_wrong_dimension_is_off_by_many_standard_errors(generator):
    bank = torch.rand(400, 2, generator=generator, dtype=torch.double)
    bank[:, 1] = 0  # a line in the square
    queries = torch.rand(100, 2, generator=generator, dtype=torch.double)
    near = torch.cdist(queries * torch.tensor([1.0, 0.0]), bank).amin(dim=1)
    assert near.mean().item() < 0.1 * mean_distance(400, 2)
