from itertools import product

import pytest
import torch

from offmap.lab.claims.interpolation import picture_hull as module
from offmap.lab.run import find


def test_verdict():
    assert find(["picture_hull"], scale="smoke")[0].verdict == "supported"


def test_a_linear_picture_of_a_cube_has_two_vertices_an_axis(generator):
    """The shadow of a cube in general position is a polygon of 2 d vertices."""
    trial = module.picture_hull(dimension=6, methods=("random projection",), generator=generator)
    assert trial.effect == pytest.approx(12 / 64)
    assert trial.parts["vertices in the space"] == 1


def test_corners_are_outside_the_hull_of_the_others(program):
    cube = torch.tensor(list(product((-1.0, 1.0), repeat=4)))
    for row in range(16):
        assert not program(torch.cat((cube[:row], cube[row + 1 :])), cube[row])


@pytest.mark.parametrize("method", list(module.METHODS))
def test_every_method_draws(method, generator):
    cube = torch.randn(60, 5, generator=generator, dtype=torch.double)
    flat = module.picture(method, cube, generator)
    assert flat.shape == (60, 2)
    assert flat.std(axis=0).min() > 0


def test_a_picture_on_a_circle_breaks_it(monkeypatch, generator):
    def ring(_, points, __):
        angle = torch.linspace(0, 6.28, len(points), dtype=torch.double)
        return torch.stack((angle.cos(), angle.sin()), dim=1).numpy()

    monkeypatch.setattr(module, "picture", ring)
    trial = module.picture_hull(dimension=5, methods=("PCA",), generator=generator)
    assert trial.effect > 0.9
