from functools import partial

import torch

from offmap.lab.claims.implicit_bias.least_squares import descend, nearest_solution
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_smoke_verdict():
    finding = find(["gd_min_norm"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["weight decay, random start"].low > 0.5  # the control: decay forgets


def test_a_start_inside_the_row_space_makes_no_difference_and_noise_does(generator):
    x, y = gaussian(5, 30, generator=generator), gaussian(5, 1, generator=generator)
    rate = 1 / torch.linalg.matrix_norm(x, 2).item() ** 2

    def end(start, noise=0.0):
        def gradient(b, step):
            return x.T @ (x @ b - y) + noise * gaussian(30, 1, generator=generator)

        return descend(start, gradient, partial(torch.optim.SGD, lr=rate), 400)[-1]

    smallest = nearest_solution(x, y, torch.zeros(30, 1, dtype=torch.double))
    inside = x.T @ gaussian(5, 1, generator=generator)
    torch.testing.assert_close(end(inside), smallest)
    drifted = end(torch.zeros_like(inside), noise=1.0)  # gradients that are no sums of inputs
    assert (drifted - smallest).norm() > 0.01 * smallest.norm()
