"""Principal components against scikit-learn, and rows read in blocks."""

import pytest
import torch
from sklearn.decomposition import PCA

from offmap.numerics import principal
from offmap.numerics.principal import principal_components
from offmap.table import TensorTable


def cloud(n: int, d: int, generator: torch.Generator, decay: float = 0.7) -> torch.Tensor:
    """A rotated Gaussian cloud off the origin; each direction `decay` times as long as the last."""
    turn = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.double)).Q
    scale = decay ** torch.arange(d).double()
    return torch.randn(n, d, generator=generator, dtype=torch.double) * scale @ turn + 5


@pytest.mark.parametrize("d", [20, 300])
def test_components_are_those_of_sklearn(generator, d):
    """Whole below 200 dimensions, by iteration above."""
    rows = cloud(500, d, generator)
    found = principal_components(rows, 6, generator=generator)
    twin = PCA(6, svd_solver="full").fit(rows.numpy())
    cosines = (found.axes.T @ torch.from_numpy(twin.components_).T).diagonal().abs()
    torch.testing.assert_close(cosines, torch.ones(6).double(), atol=1e-9, rtol=0)
    variance = torch.from_numpy(twin.explained_variance_) * 499 / 500
    torch.testing.assert_close(found.scale, variance.sqrt(), rtol=1e-9, atol=0)
    here = found.project(rows)
    torch.testing.assert_close(here.mean(dim=0), torch.zeros(6).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(here.T @ here / 500, torch.eye(6).double(), atol=1e-9, rtol=0)


def test_like_variances_still_give_a_span_of_large_variance(generator):
    rows = torch.randn(400, 250, generator=generator)
    found = principal_components(rows, 4, generator=generator)
    best = torch.linalg.svdvals(rows.double() - rows.double().mean(dim=0))[:4] / 20
    assert bool((found.scale <= best * (1 + 1e-9)).all())
    assert bool((found.scale > 0.95 * best).all())


def test_a_flat_has_as_many_components_as_it_has_dimensions(generator):
    flat = torch.randn(50, 2, generator=generator) @ torch.randn(2, 30, generator=generator) + 1
    assert principal_components(flat, 8, generator=generator).scale.shape == (2,)
    point = torch.ones(5, 3)
    assert principal_components(point, 2, generator=generator).project(point).shape == (5, 0)


def test_blocks_are_read_as_the_tensor_is(generator, monkeypatch):
    rows = torch.randint(0, 256, (100, 2, 3), dtype=torch.uint8, generator=generator)
    found = principal_components(rows.flatten(1), 3, generator=generator)
    monkeypatch.setattr(principal, "BLOCK_BYTES", 8 * 6 * 7)
    torch.testing.assert_close(found.project(TensorTable(rows)), found.project(rows))
    assert found.project(rows).dtype == torch.double


def test_refuses_nothing_to_find(generator):
    with pytest.raises(ValueError, match="got k=0 and 5 rows"):
        principal_components(torch.ones(5, 2), 0, generator=generator)
    with pytest.raises(ValueError, match="got k=1 and 0 rows"):
        principal_components(torch.ones(0, 2), 1, generator=generator)
