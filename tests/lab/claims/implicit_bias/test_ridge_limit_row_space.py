from math import cos, sin

import torch

from offmap.lab.claims.implicit_bias.ridge_limit_row_space import deficient, outside, ridge
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_smoke_verdict():
    finding = find(["ridge_limit_row_space"], scale="smoke")[0]
    assert finding.verdict == "supported"


def test_ridge_solves_its_normal_equations(generator):
    x, y = deficient(12, 5, generator)
    assert torch.linalg.matrix_rank(x) == 5
    normal = torch.linalg.solve(x.T @ x + 0.3 * torch.eye(12, dtype=torch.double), x.T @ y)
    torch.testing.assert_close(ridge(x, y, 0.3), normal)


def test_outside_is_the_sine_of_the_angle_to_the_span():
    plane = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.double)
    for angle in (0.0, 0.4, 1.5):
        point = torch.tensor([0.0, cos(angle), sin(angle)], dtype=torch.double)
        assert abs(outside(point, plane) - sin(angle)) < 1e-12


def test_a_penalty_toward_somewhere_else_leaves_the_row_space(generator):
    """Ridge that shrinks toward a random point keeps what that point has outside."""
    x, y = deficient(12, 5, generator)
    center = gaussian(1, 12, generator=generator)[0]
    moved = center + ridge(x, y - x @ center, 1e-4)
    assert outside(ridge(x, y, 1e-4), x.T) < 1e-9
    assert outside(moved, x.T) > 0.1
