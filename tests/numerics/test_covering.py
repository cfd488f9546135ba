"""Covering numbers against grids that cover and points that pack; the torus that fills."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from offmap.numerics.covering import box_covering, log10_manifold_covering


@pytest.mark.parametrize(
    ("widths", "radius"), [([1.0], 0.3), ([1.0, 1.0], 0.25), ([1.0, 2.0, 0.0], 0.22)]
)
def test_so_many_points_cover_the_box_and_fewer_cannot(widths, radius, generator):
    sides = torch.tensor(widths, dtype=torch.double)
    number = round(10 ** box_covering(sides, radius))
    cells = [math.floor(width / (2 * radius)) + 1 for width in widths]
    assert number == math.prod(cells)
    centers = torch.tensor(list(itertools.product(*(
        [(cell + 0.5) * width / many for cell in range(many)]
        for width, many in zip(widths, cells, strict=True)
    ))), dtype=torch.double)  # fmt: skip
    points = torch.rand(20000, len(widths), dtype=torch.double, generator=generator) * sides
    apart = torch.cdist(points, centers, p=math.inf).amin(dim=1)
    assert apart.max().item() < radius
    # as many points, 2 r apart: no ball that is open holds two of them
    packed = torch.tensor(list(itertools.product(*(
        [2 * radius * cell for cell in range(many)] for many in cells
    ))), dtype=torch.double)  # fmt: skip
    assert bool((packed <= sides + 1e-12).all())
    between = torch.cdist(packed, packed, p=math.inf).fill_diagonal_(math.inf)
    assert len(packed) == number
    assert between.min().item() > 2 * radius - 1e-9


def test_of_many_dimensions_it_is_a_power():
    cube = torch.ones(64)
    assert box_covering(cube, 0.219) == pytest.approx(64 * math.log10(3))
    assert box_covering(torch.ones(784), 0.37) == pytest.approx(784 * math.log10(2))
    assert box_covering(torch.ones(784), 0.5) == pytest.approx(784 * math.log10(2))  # open balls
    assert box_covering(cube, 0.51) == 0
    assert box_covering(torch.ones(3), 0.1) == pytest.approx(3 * math.log10(6))  # 1 / 0.2 rounds


@pytest.mark.parametrize("d", [1, 2, 3])
def test_so_many_examples_cover_the_torus(d, generator):
    """From 300 points to the number said: 95 % of fresh points then lie within the radius."""

    def reach(n):
        points, fresh = (
            torch.rand(size, d, dtype=torch.double, generator=generator).numpy()
            for size in (n, 2000)
        )
        return float(np.quantile(cKDTree(points, boxsize=1).query(fresh)[0], 0.95))

    needed = round(10 ** log10_manifold_covering(300, 1.5, d))
    assert needed == pytest.approx(300 * 1.5**d, abs=1)
    before, after = (torch.tensor([reach(n) for _ in range(40)]) for n in (300, needed))
    ratio = (before.mean() / after.mean()).item()
    error = sum((x.std() / x.mean()).square().item() / 40 for x in (before, after)) ** 0.5
    assert abs(ratio / 1.5 - 1) < 4 * error
    assert error < 0.02


def test_refuses_what_covers_nothing():
    with pytest.raises(ValueError, match="radius > 0, got 0"):
        box_covering(torch.ones(2), 0.0)
    with pytest.raises(ValueError, match="positive numbers, got 10, 0 and 2"):
        log10_manifold_covering(10, 0, 2)
