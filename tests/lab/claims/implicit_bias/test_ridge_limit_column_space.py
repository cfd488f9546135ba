import torch

from offmap.lab.claims.implicit_bias.ridge_limit_row_space import outside, ridge
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_smoke_verdict():
    assert find(["ridge_limit_column_space"], scale="smoke")[0].verdict == "refuted"


def test_it_is_true_for_a_symmetric_x_whose_two_spaces_are_one(generator):
    factor = gaussian(12, 5, generator=generator)
    x, y = factor @ factor.T / 12, gaussian(1, 12, generator=generator)[0]
    assert torch.linalg.matrix_rank(x) == 5
    assert outside(ridge(x, y, 1e-4), x) < 1e-9
