"""Least trace against cvxpy and a closed form; descent against autograd."""

import cvxpy
import numpy as np
import pytest
import torch

from offmap.lab.claims.implicit_bias.factorization import (
    completion_problem,
    descend,
    gaussian_problem,
    least_trace,
    random_start,
)


def by_cvxpy(a: np.ndarray, y: np.ndarray) -> float:
    x = cvxpy.Variable(a.shape[1:], PSD=True)
    rows = [cvxpy.trace(each @ x) == value for each, value in zip(a, y, strict=True)]
    return cvxpy.Problem(cvxpy.Minimize(cvxpy.trace(x)), rows).solve(solver="CLARABEL")


@pytest.mark.parametrize("m", [3, 10, 14])
def test_the_least_trace_is_that_of_cvxpy(m):
    rng = np.random.default_rng(m)
    a, y = gaussian_problem(6, 2, m, rng)
    x, trace, bound = least_trace(a, y)
    np.testing.assert_allclose(trace, by_cvxpy(a, y), rtol=1e-6)
    np.testing.assert_allclose(bound, trace, rtol=1e-6)
    np.testing.assert_allclose(np.einsum("kij,ij->k", a, x), y, atol=1e-9)
    assert np.linalg.eigvalsh(x)[0] > -1e-8


def test_the_completion_has_a_closed_form():
    a, y = completion_problem(np.random.default_rng(0))
    np.testing.assert_allclose(least_trace(a, y)[1], by_cvxpy(a, y), rtol=1e-6)
    for r in (0.1, 0.3, 0.5):
        np.testing.assert_allclose(least_trace(a, np.array([1, 1, r]))[1], 4 - 2 * r, rtol=1e-6)
    x, _, _ = least_trace(a, np.array([2.0, 3.0, 5.0]))
    np.testing.assert_allclose(x[[0, 0, 1], [1, 2, 2]], [2, 3, 5])


def test_a_step_is_that_of_autograd():
    rng = np.random.default_rng(0)
    a, y = gaussian_problem(4, 1, 5, rng)
    u = torch.tensor(random_start(4, 2.0, rng), requires_grad=True)
    assert abs(u.norm().item() - 2) < 1e-12
    residual = torch.einsum("kij,ij->k", torch.tensor(a), u @ u.T) - torch.tensor(y)
    residual.square().mean().backward()
    stepped = (u - 0.1 * u.grad).detach().numpy()
    end = descend(a, y, u.detach().numpy(), most=1)
    np.testing.assert_allclose(end.matrix, stepped @ stepped.T, rtol=1e-12)
    np.testing.assert_allclose(end.residual, residual.abs().max().item())


def test_commuting_measurements_obey_the_conjecture():
    """Diagonal ones commute: there a vanishing start is proven to find the least trace."""
    rng = np.random.default_rng(1)
    rows = rng.uniform(0.2, 1, (2, 4))
    a = np.stack([np.diag(row) for row in rows])
    y = rows @ np.array([1.0, 0, 0, 0])
    end = descend(a, y, 1e-6 * np.eye(4), most=60_000)
    assert end.residual < 1e-6
    np.testing.assert_allclose(np.trace(end.matrix), least_trace(a, y)[1], rtol=5e-3)
