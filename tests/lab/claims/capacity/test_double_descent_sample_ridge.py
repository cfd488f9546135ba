import numpy as np
import torch
from sklearn.linear_model import Ridge

from offmap.lab.claims.capacity.double_descent_sample import risks_of_sizes
from offmap.lab.claims.capacity.double_descent_sample_ridge import ridge_risks
from offmap.lab.claims.capacity.least_squares import deviation, normal
from offmap.lab.run import find


def test_verdict():
    found = find(["double_descent_sample_ridge"], scale="smoke")[0]
    assert found.verdict == "supported"
    law = "largest deviation from the risk of the Bayes estimate, in standard errors"
    assert found.parts[law].high < 4


def test_risks_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(3)
    risks, _ = ridge_risks(6, (4, 9), 2, 0.5, generator)
    generator = torch.Generator().manual_seed(3)  # the same draws again, in the same order
    truth = normal(2, 6, 1, generator=generator)
    truth /= truth.norm(dim=1, keepdim=True)
    x = normal(2, 9, 6, generator=generator)
    y = x @ truth + 0.5 * normal(2, 9, 1, generator=generator)
    for place, n in enumerate((4, 9)):
        for draw in range(2):
            model = Ridge(alpha=6 * 0.25, fit_intercept=False)
            fit = model.fit(x[draw, :n].numpy(), y[draw, :n, 0].numpy()).coef_
            expected = ((fit - truth[draw, :, 0].numpy()) ** 2).sum()
            np.testing.assert_allclose(risks[place, draw].item(), expected)


def test_a_further_row_never_raises_the_risk_of_the_bayes_estimate(generator):
    _, bayes = ridge_risks(10, tuple(range(1, 30)), 20, 0.5, generator)
    assert bool((bayes.diff(dim=0) < 0).all())


def test_control_without_a_penalty_the_risk_rises(generator):
    """The same comparison of means for the least-norm fit, on independent data sets."""
    risks, _ = risks_of_sizes(40, (10, 20, 30), 400, 0.5, generator)
    falls = deviation(risks[:-1] - risks[1:], torch.zeros(2, dtype=torch.double))
    assert falls.min() < -4
