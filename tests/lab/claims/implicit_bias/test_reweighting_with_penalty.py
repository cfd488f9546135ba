import cvxpy
import numpy as np
import pytest

from offmap.lab.claims.implicit_bias.reweighting import angle, max_margin, separable, weightings
from offmap.lab.claims.implicit_bias.reweighting_with_penalty import minimizer
from offmap.lab.run import find


def test_verdict():
    """Supported; control: with next to no penalty the move is gone."""
    found = find(["reweighting_with_penalty"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert (
        found.parts["degrees at a penalty of 0.0001"].value
        < found.parts["degrees at a penalty of 0.1"].value / 2
    )


@pytest.mark.parametrize("penalty", [0.1, 1e-3])
def test_minimizer_is_that_of_a_convex_program(penalty, generator):
    signed = separable(12, 20, generator)
    weights = weightings(12, generator)[1]
    w = cvxpy.Variable(20)
    share = (weights / weights.sum()).numpy()
    loss = share @ cvxpy.logistic(-signed.numpy() @ w) + penalty / 2 * cvxpy.sum_squares(w)
    cvxpy.Problem(cvxpy.Minimize(loss)).solve(solver=cvxpy.CLARABEL)
    np.testing.assert_allclose(minimizer(signed, weights, penalty), w.value, atol=1e-4)


def test_without_a_penalty_it_tends_to_the_max_margin_separator(generator):
    signed = separable(12, 20, generator)
    for weights in weightings(12, generator):
        assert angle(minimizer(signed, weights, 1e-7), max_margin(signed)) < 10
