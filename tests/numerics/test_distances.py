"""Squared distances against scipy's, block by block and far from the origin."""

import pytest
import torch
from scipy.spatial.distance import cdist

from offmap.numerics import distances
from offmap.numerics.distances import squared_distances


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_matches_scipy(generator, dtype):
    rows = (100 * torch.rand(30, 7, generator=generator)).to(dtype)
    others = (100 * torch.rand(40, 7, generator=generator)).to(dtype)
    expected = torch.from_numpy(cdist(rows.double(), others.double(), "sqeuclidean"))
    torch.testing.assert_close(squared_distances(rows, others), expected, rtol=1e-12, atol=1e-10)


def test_blocks_of_columns_add_up(generator, monkeypatch):
    rows = torch.randn(20, 50, generator=generator, dtype=torch.double)
    whole = squared_distances(rows, rows)
    monkeypatch.setattr(distances, "BLOCK_BYTES", 8 * 40 * 3)  # three columns
    torch.testing.assert_close(squared_distances(rows, rows), whole)


def test_is_as_exact_far_from_the_origin(generator):
    rows = torch.randn(20, 3, generator=generator, dtype=torch.double)
    moved = squared_distances(rows + 2**20, rows + 2**20)
    expected = torch.from_numpy(cdist(rows + 2**20, rows + 2**20, "sqeuclidean"))
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)
    assert bool((moved >= 0).all())
