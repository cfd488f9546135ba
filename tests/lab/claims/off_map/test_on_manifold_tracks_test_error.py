import numpy as np
import pytest
import torch

from offmap.lab.claims.off_map import on_manifold_tracks_test_error as module
from offmap.lab.claims.off_map.on_manifold_tracks_test_error import pearson, rates
from offmap.lab.run import find


def test_verdict():
    found = find(["on_manifold_tracks_test_error"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["the same for attacks off the subspace"].high < 0.8  # control


def test_pearson_is_numpys(generator):
    first, second = torch.rand(2, 6, generator=generator, dtype=torch.double)
    assert pearson(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])


def test_untrained_networks_err_on_half_of_the_points(generator):
    """Control: without training, sample size means nothing."""
    found = rates((6, 3, 12, 16), (16, 64), 0, "SGD", generator)
    assert isinstance(found, module.Rates)
    np.testing.assert_allclose(found.test, 0.5, atol=0.15)
