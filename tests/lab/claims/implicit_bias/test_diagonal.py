"""The flow against a slow descent, and the potential against a convex solver."""

import cvxpy
import numpy as np
import pytest
from scipy.optimize import minimize

from offmap.lab.claims.implicit_bias.diagonal import flow, smallest, smallest_l1


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 12)), rng.standard_normal(5)


def test_the_flow_is_where_small_steps_lead(problem):
    x, y = problem
    u = v = np.full(12, 0.3)
    for _ in range(20000):
        gradient = x.T @ (x @ (u**2 - v**2) - y)
        u, v = u - 5e-5 * 2 * u * gradient, v + 5e-5 * 2 * v * gradient
    np.testing.assert_allclose(flow(x, y, 0.3, np.array([1.0]))[0], u**2 - v**2, atol=2e-3)


@pytest.mark.parametrize("scale", [3.0, 0.5, 0.05])
def test_the_smallest_fit_is_that_of_a_general_solver(problem, scale):
    x, y = problem

    def potential(beta):
        z = beta / scale**2
        return (2 - np.sqrt(4 + z**2) + z * np.arcsinh(z / 2)).sum()

    start = np.linalg.pinv(x) @ y
    found = minimize(
        potential, start, jac=lambda b: np.arcsinh(b / scale**2 / 2) / scale**2, method="SLSQP",
        constraints={"type": "eq", "fun": lambda b: x @ b - y, "jac": lambda b: x},
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    mine = smallest(x, y, [np.log(scale)])[0]
    np.testing.assert_allclose(x @ mine, y, atol=1e-11)
    np.testing.assert_allclose(mine, found.x, atol=1e-4)


def test_its_ends_are_the_two_norms(problem):
    x, y = problem
    large, small = smallest(x, y, [np.log(1e3), -1000.0])
    np.testing.assert_allclose(large, np.linalg.pinv(x) @ y, atol=1e-6)
    np.testing.assert_allclose(small, smallest_l1(x, y)[0], atol=1e-9)


def test_the_linear_program_is_that_of_cvxpy(problem):
    x, y = problem
    b = cvxpy.Variable(12)
    rows = x @ b == y
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm1(b)), [rows])
    program.solve(solver="CLARABEL")
    beta, dual = smallest_l1(x, y)
    np.testing.assert_allclose(beta, b.value, atol=1e-6)
    np.testing.assert_allclose(np.abs(dual), np.abs(x.T @ rows.dual_value), atol=1e-5)
    np.testing.assert_allclose(dual[np.abs(beta) > 1e-9], np.sign(beta[np.abs(beta) > 1e-9]))
