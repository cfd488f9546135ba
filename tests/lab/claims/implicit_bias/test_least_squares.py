"""The linear maps against the closed form, scikit-learn, and a slow descent."""

from functools import partial

import torch
from sklearn.linear_model import Ridge

from offmap.lab.claims.implicit_bias.least_squares import (
    descend,
    flow_maps,
    nearest_solution,
    ridge_maps,
    risks,
)
from offmap.lab.worlds import gaussian

TIMES = torch.tensor([0.1, 1.0, 30.0], dtype=torch.double)


def test_flow_has_the_closed_form_also_with_fewer_examples_than_coefficients(generator):
    for n, p in ((20, 7), (7, 20)):
        x = gaussian(n, p, generator=generator)
        left, s, right = torch.linalg.svd(x, full_matrices=False)
        kept = (1 - torch.exp(-TIMES[:, None] * s**2 / n)) / s
        law = torch.einsum("kp,tk,nk->tpn", right, kept, left)
        torch.testing.assert_close(flow_maps(x, TIMES), law, rtol=1e-9, atol=1e-11)


def test_flow_is_where_small_steps_lead(generator):
    x, y = gaussian(15, 4, generator=generator), gaussian(15, 1, generator=generator)
    way = descend(
        torch.zeros(4, 1, dtype=torch.double),
        lambda b, step: x.T @ (x @ b - y) / 15,
        partial(torch.optim.SGD, lr=1e-3),
        1000,
    )
    flow = flow_maps(x, torch.ones(1, dtype=torch.double)) @ y
    torch.testing.assert_close(way, flow, rtol=2e-3, atol=1e-4)


def test_ridge_is_that_of_scikit_learn(generator):
    x, y = gaussian(12, 5, generator=generator), gaussian(1, 12, generator=generator)[0]
    for penalty, mine in zip(TIMES, ridge_maps(x, TIMES) @ y, strict=True):
        theirs = Ridge(alpha=12 * penalty.item(), fit_intercept=False).fit(x.numpy(), y.numpy())
        torch.testing.assert_close(mine, torch.tensor(theirs.coef_), rtol=1e-9, atol=1e-12)


def test_the_risk_is_the_mean_squared_error(generator):
    x, truth = gaussian(10, 3, generator=generator), gaussian(1, 3, generator=generator)[0]
    maps = ridge_maps(x, TIMES[:1])
    targets = x @ truth + 0.5 * gaussian(40000, 10, generator=generator)
    errors = (targets @ maps[0].T - truth).square().sum(1)
    standard_error = errors.std() / 200
    assert abs(errors.mean() - risks(maps, x, truth, 0.5)[0]) < 4 * standard_error


def test_the_nearest_solution_fits_and_moves_within_the_row_space_only(generator):
    x, y = gaussian(5, 9, generator=generator), gaussian(5, 2, generator=generator)
    start = gaussian(9, 2, generator=generator)
    nearest = nearest_solution(x, y, start)
    torch.testing.assert_close(x @ nearest, y)
    others = torch.linalg.svd(x)[2][5:]  # a basis of the null space
    assert (others @ (nearest - start)).abs().max() < 1e-12
