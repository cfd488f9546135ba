import numpy as np
from scipy.optimize import minimize

from offmap.lab.claims.implicit_bias.logistic_max_margin import descent, flow, learning_rate
from offmap.lab.claims.implicit_bias.max_margin import hard_margin, two_classes
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["logistic_max_margin"], scale="smoke")[0].verdict == "supported"


def test_the_flow_is_where_small_steps_lead(generator):
    z = two_classes(20, 2, generator)
    w = np.zeros(2)
    for _ in range(20000):
        w += 1e-3 * (1 / (1 + np.exp(z @ w))) @ z
    np.testing.assert_allclose(flow(z, [np.log(20.0)])[0], w, rtol=1e-3)


def test_two_examples_have_a_closed_form():
    """One example z = 2: dw/dt = 2 / (1 + e^2w), so that 2 w + e^2w = 4 t + 1."""
    w = flow(np.array([[2.0]]), [3.0, 50.0])[:, 0]
    np.testing.assert_allclose(2 * w + np.exp(2 * w), 4 * np.exp([3.0, 50.0]) + 1, rtol=1e-4)


def test_descent_lowers_the_loss_to_where_the_flow_is(generator):
    z = two_classes(20, 2, generator)
    way = descent(z, [10, 2000])
    loss = np.logaddexp(0, -way @ z.T).sum(axis=1)
    assert loss[1] < loss[0] < 20 * np.log(2)
    late = flow(z, [float(np.log(2000 * learning_rate(z)))])[0]
    np.testing.assert_allclose(way[1], late, rtol=0.01)


def test_examples_that_nothing_separates_have_an_end(generator):
    """Then the weights stay where the loss is least, and there is no slope."""
    z = two_classes(20, 2, generator)
    z[0] = -z[0]
    early, late = flow(z, [30.0, 60.0])
    least = minimize(lambda w: np.logaddexp(0, -z @ w).sum(), np.zeros(2), tol=1e-10).x
    np.testing.assert_allclose(late, least, rtol=1e-3)
    np.testing.assert_allclose(early, late, rtol=1e-5)


def test_the_slope_is_no_other_direction(generator):
    """It is not that of the mean of the examples, a plausible but wrong limit."""
    z = two_classes(20, 2, generator)
    early, late = flow(z, [800.0, 1600.0])
    slope, svm = (late - early) / 800, hard_margin(z)[0]
    mean = z.mean(axis=0) * np.linalg.norm(svm) / np.linalg.norm(z.mean(axis=0))
    assert np.linalg.norm(slope - svm) < 1e-3 * np.linalg.norm(svm)
    assert np.linalg.norm(slope - mean) > 1e-2 * np.linalg.norm(svm)
