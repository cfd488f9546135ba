from functools import partial

import torch

from offmap.lab.claims.implicit_bias.least_squares import descend, nearest_solution
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_smoke_verdict():
    finding = find(["adam_min_norm"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["Adam: relative residual"].high < 1e-4  # it did fit


def test_with_one_learning_rate_for_all_numbers_it_is_true(generator):
    """Adam whose second moment is forced to a constant is momentum, and ends at the smallest."""
    x, y = gaussian(5, 30, generator=generator), gaussian(5, 1, generator=generator)
    start = torch.zeros(30, 1, dtype=torch.double)
    smallest = nearest_solution(x, y, start)

    def end(**settings):
        optimizer = partial(torch.optim.Adam, **settings)
        return descend(start, lambda b, step: x.T @ (x @ b - y), optimizer, 1500)[-1]

    flat = end(lr=1e4, eps=1e6)  # eps drowns the root of the second moment: lr / eps = 0.01
    torch.testing.assert_close(flat, smallest, rtol=1e-4, atol=1e-5)
    assert end(lr=0.01).norm() > 1.01 * smallest.norm()
