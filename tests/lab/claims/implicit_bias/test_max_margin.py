"""The hard-margin solution against a convex solver and a support vector machine."""

import cvxpy
import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from offmap.lab.claims.implicit_bias.max_margin import degrees, hard_margin, softmax, two_classes


@pytest.mark.parametrize(("n", "d"), [(30, 2), (40, 6), (8, 16)])
def test_the_solution_is_that_of_cvxpy(generator, n, d):
    z = two_classes(n, d, generator)
    w, multipliers = hard_margin(z)
    v = cvxpy.Variable(d)
    cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(v)), [z @ v >= 1]).solve(solver="CLARABEL")
    np.testing.assert_allclose(w, v.value, atol=1e-6)
    np.testing.assert_allclose(z.T @ multipliers, w, atol=1e-10)
    np.testing.assert_allclose((z @ w).min(), 1, atol=1e-10)
    assert multipliers.min() >= 0


def test_the_direction_is_that_of_a_machine_on_data_reflected_through_the_origin(generator):
    z = two_classes(25, 3, generator)
    machine = SVC(kernel="linear", C=1e9, tol=1e-9)
    machine.fit(np.concatenate([z, -z]), np.repeat([1, -1], 25))
    np.testing.assert_allclose(hard_margin(z)[0], machine.coef_[0], rtol=1e-5)


def test_examples_that_nothing_separates_are_refused(generator):
    z = two_classes(10, 2, generator)
    with pytest.raises(ValueError, match="separable"):
        hard_margin(np.concatenate([z, -z]))


def test_softmax_is_that_of_torch_and_angles_are_angles():
    margins = np.array([[3.0, 900.0, -1.0], [5.0, 5.0, 5.0]])
    np.testing.assert_allclose(softmax(margins), torch.tensor(-margins).softmax(dim=1))
    east = np.array([1.0, 0.0])
    for angle in (1e-9, 30.0, 180.0):
        turned = 7 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        np.testing.assert_allclose(degrees(east, turned), angle, rtol=1e-7)
