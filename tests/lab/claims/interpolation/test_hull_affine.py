import torch

from offmap.lab.claims.interpolation.hull_affine import hull_affine
from offmap.lab.run import find
from offmap.lab.worlds import gaussian, rotation
from offmap.numerics.hull import membership


def test_verdict():
    assert find(["hull_affine"], scale="smoke")[0].verdict == "supported"


def test_share_inside_is_a_linear_programs(program):
    draws = torch.Generator().manual_seed(2)
    trial = hull_affine(dimension=3, count=27, queries=20, stretch=(10.0,), generator=draws)
    draws.manual_seed(2)
    points, queries = gaussian(27, 3, generator=draws), gaussian(20, 3, generator=draws)
    assert trial.parts["share inside"] == sum(program(points, q) for q in queries) / 20


def test_a_map_that_bends_changes_sides(generator):
    """Onto the sphere: no longer affine, and everything is outside."""
    points, queries = gaussian(100, 3, generator=generator), gaussian(40, 3, generator=generator)
    matrix = rotation(3, generator=generator)
    straight, bent = (
        membership(move(points), move(queries)).inside
        for move in (lambda x: x @ matrix, lambda x: torch.nn.functional.normalize(x @ matrix))
    )
    assert torch.equal(straight, membership(points, queries).inside)
    assert straight.double().mean() > 0.5
    assert not bent.any()
