import torch

from offmap.lab.claims.interpolation.hull_strictly_convex import hull_strictly_convex
from offmap.lab.claims.interpolation.laws import corners
from offmap.lab.run import find
from offmap.lab.worlds import ball, sphere
from offmap.numerics.hull import membership


def test_verdict():
    assert find(["hull_strictly_convex"], scale="smoke")[0].verdict == "supported"


def test_sides_are_those_of_a_linear_program(program, generator):
    for law, d in ((sphere, 3), (corners, 12), (ball, 3)):
        points, queries = law(40, d, generator=generator), law(10, d, generator=generator)
        found = membership(points, queries).inside.tolist()
        assert found == [program(points, query) for query in queries]


def test_copies_are_inside(generator):
    points = corners(50, 12, generator=generator)
    assert membership(points, points[:5]).inside.all()


def test_other_lengths_of_the_same_directions_are_inside():
    trial = hull_strictly_convex(
        count=300, queries=20, hulls=2, generator=torch.Generator().manual_seed(0)
    )
    assert trial.effect == 0
    assert trial.parts["control: a ball in 3 dimensions"] > 0.5
