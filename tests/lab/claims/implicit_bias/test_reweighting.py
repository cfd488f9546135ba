import cvxpy
import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from offmap.lab.claims.implicit_bias.reweighting import (
    angle,
    descend,
    max_margin,
    separable,
    weightings,
)


def test_max_margin_is_that_of_a_convex_program(generator):
    signed = separable(30, 50, generator)
    classifier = cvxpy.Variable(50)
    problem = cvxpy.Problem(
        cvxpy.Minimize(cvxpy.sum_squares(classifier)), [signed.numpy() @ classifier >= 1]
    )
    problem.solve(solver=cvxpy.CLARABEL)
    expected = classifier.value / np.linalg.norm(classifier.value)
    np.testing.assert_allclose(max_margin(signed).numpy(), expected, atol=1e-4)


def test_max_margin_is_that_of_lawson_and_hanson(generator):
    """Least distance programming by non-negative least squares: exact."""
    signed = separable(20, 30, generator)
    system = np.vstack([signed.numpy().T, np.ones(20)])
    dual, _ = nnls(system, np.append(np.zeros(30), 1.0))
    expected = signed.numpy().T @ dual
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(max_margin(signed).numpy(), expected, atol=1e-5)


def test_no_separator_is_refused(generator):
    point = torch.randn(1, 5, generator=generator, dtype=torch.double)
    with pytest.raises(ValueError, match="separates"):
        max_margin(torch.cat([point, -point]))


def test_descent_is_along_the_gradient_of_the_logarithm_of_the_loss(generator):
    signed = separable(6, 9, generator)
    weights = weightings(6, generator)
    rate = 10 / torch.linalg.svdvals(signed)[0] ** 2
    path = descend(signed, weights, torch.tensor([1, 5]))
    for row, c in enumerate(weights):
        w = torch.zeros(9, dtype=torch.double)
        for _ in range(5):
            w.requires_grad_()
            loss = (c * torch.exp(-signed @ w)).sum().log()
            w = (w - rate * torch.autograd.grad(loss, w)[0]).detach()
        torch.testing.assert_close(path[1, row], w)


def test_angle():
    turned = torch.tensor([np.cos(1e-9), np.sin(1e-9)])
    assert angle(torch.tensor([2.0, 0.0]).double(), turned).item() == pytest.approx(
        np.rad2deg(1e-9)
    )
    axes = torch.eye(2, dtype=torch.double)
    assert angle(axes[0], 3 * axes[1]).item() == pytest.approx(90)
