import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from offmap.lab.claims.interpolation.hulls import (
    all_vertices,
    proved_vertices,
    shares_inside,
    sigmas,
)
from offmap.lab.worlds import ball, gaussian, sphere


def test_shares_are_those_of_a_linear_program(program):
    draws = torch.Generator().manual_seed(3)
    shares = shares_inside(lambda n: gaussian(n, 4, generator=draws), 40, hulls=3, queries=10)
    draws.manual_seed(3)
    for share in shares.tolist():
        points, queries = gaussian(40, 4, generator=draws), gaussian(10, 4, generator=draws)
        assert share == sum(program(points, query) for query in queries) / 10


def test_fresh_points_may_have_a_law_of_their_own(generator):
    def far(n):
        return 100 + gaussian(n, 2, generator=generator)

    def near(n):
        return gaussian(n, 2, generator=generator)

    assert shares_inside(near, 50, hulls=2, queries=5, fresh=far).tolist() == [0, 0]
    assert shares_inside(near, 50, hulls=2, queries=5, fresh=lambda n: near(n) / 99).min() == 1


def test_sigmas_are_those_of_independent_hulls():
    shares = torch.tensor([0.1, 0.3, 0.4, 0.4], dtype=torch.double)
    error = np.std(shares.numpy(), ddof=1) / 2
    assert sigmas(shares, 0.5, 10**6) == pytest.approx(0.2 / error)


def test_equal_shares_have_the_error_of_as_many_coins():
    shares = torch.zeros(4, dtype=torch.double)
    assert sigmas(shares, 0.1, 9) == pytest.approx(0.1 / (0.3 / 6))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("d", [2, 3, 5])
def test_vertices_as_of_qhull(d, seed):
    points = gaussian(60, d, generator=torch.Generator().manual_seed(seed)) + 5
    proved = set(proved_vertices(points, rounds=3000).nonzero().flatten().tolist())
    true = set(ConvexHull(points.numpy()).vertices.tolist())
    assert proved == true
    assert proved_vertices(points, rounds=1).sum() <= len(true)
    assert not all_vertices(points)
    assert all_vertices(points[list(true)])


def test_a_single_inner_point_is_found(generator):
    outer = sphere(40, 6, generator=generator)
    assert all_vertices(outer)
    assert not all_vertices(torch.cat((outer, 0.01 * ball(1, 6, generator=generator))))
