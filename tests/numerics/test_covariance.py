import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance

from offmap.numerics.covariance import ledoit_wolf, shrunk, whitening


def moments(rows):
    return rows.T @ rows, rows.square().sum(1).square().sum().item()


@pytest.mark.parametrize(("n", "d"), [(5, 3), (200, 4), (10, 40), (2, 2)])
def test_shrinks_as_scikit_learn_does(generator, n, d):
    rows = torch.randn(n, d, generator=generator, dtype=torch.double) * torch.arange(1, d + 1)
    truth = ledoit_wolf_shrinkage(rows.numpy(), assume_centered=True)
    assert ledoit_wolf(*moments(rows), n) == pytest.approx(truth, rel=1e-9)


def test_many_rows_need_no_shrinkage_and_a_sphere_any(generator):
    rows = torch.randn(4_000, 5, generator=generator, dtype=torch.double)
    stretched = rows * torch.tensor([1.0, 2, 4, 8, 16])
    assert ledoit_wolf(*moments(stretched), 4_000) < 0.01
    assert ledoit_wolf(*moments(rows), 4_000) > 0.3
    assert ledoit_wolf(torch.eye(3).double(), 1.0, 3) == 1.0  # at the target already


def test_shrinking_is_that_of_scikit_learn(generator):
    rows = torch.randn(20, 4, generator=generator, dtype=torch.double)
    covariance = rows.T @ rows / 20
    for weight in (0.0, 0.3, 1.0):
        truth = shrunk_covariance(covariance.numpy(), weight)
        np.testing.assert_allclose(shrunk(covariance, weight), truth, rtol=1e-12)


def test_whitened_rows_have_unit_covariance(generator):
    rows = torch.randn(50, 6, generator=generator, dtype=torch.double)
    rows = rows @ torch.randn(6, 6, generator=generator, dtype=torch.double)
    covariance = rows.T @ rows / 50
    white = rows @ whitening(covariance)
    assert torch.allclose(white.T @ white / 50, torch.eye(6).double(), atol=1e-8)


def test_empty_directions_get_the_least_variance():
    covariance = torch.diag(torch.tensor([2.0, 0.0, 1.0])).double()
    white = whitening(covariance)
    distance = (torch.eye(3).double() @ white).norm(dim=1)
    assert distance.tolist() == pytest.approx([2**-0.5, 1e3, 1.0])


def test_no_variance_at_all_cannot_be_whitened():
    with pytest.raises(ValueError, match="expected a covariance that is not 0"):
        whitening(torch.zeros(3, 3).double())
