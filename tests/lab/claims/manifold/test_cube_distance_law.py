"""A cube's boundary breaks the law that holds where faces are glued."""

import pytest
import torch
from scipy.integrate import quad

from offmap.lab.claims.manifold.cube_distance_law import cube_distance_law
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["cube_distance_law"], scale="smoke")
    assert finding.verdict == "refuted"
    assert finding.statement.corrected == "neighbor_distance_law"


def test_in_one_dimension_the_excess_is_that_of_the_ends(generator):
    """Within r of a point x of [0, 1] lies min(1, x + r) - max(0, x - r), so by quadrature."""
    n = 50

    def mean_at(x):
        def tail(r):
            return (1 - min(1, x + r) + max(0, x - r)) ** n

        return quad(tail, 0, max(x, 1 - x), points=[min(x, 1 - x)])[0]

    exact = quad(mean_at, 0, 1, epsrel=1e-5)[0] * 2 * (n + 1)  # the law is 1 / (2 (n + 1))
    trials = [
        cube_distance_law(dimensions=(1,), n=n, queries=1000, generator=generator).effect
        for _ in range(60)
    ]
    found = 1 + torch.tensor(trials)
    assert abs(found.mean().item() - exact) < 4 * found.std().item() / 60**0.5
    assert exact > 1


def test_many_points_on_a_line_have_next_to_no_boundary(generator):
    """The control: the excess is that of boundaries, and goes where they go."""
    trial = cube_distance_law(dimensions=(10, 1), n=10000, queries=2000, generator=generator)
    assert trial.effect == pytest.approx(0, abs=0.08)
    assert trial.parts["mean over law, d = 10"] > 1.05
