import torch

from offmap.lab.claims.interpolation.proved import proved_inside
from offmap.lab.worlds import gaussian
from offmap.numerics.hull import membership


def test_what_is_inside_by_weights_is_proved(generator):
    points, queries = gaussian(100, 3, generator=generator), gaussian(40, 3, generator=generator)
    found = membership(points, queries)
    assert 0 < found.inside.sum() < 40
    assert torch.equal(proved_inside(found, points), found.inside)


def test_what_is_inside_by_the_tolerance_is_not(generator):
    """Points of a plane in space, and a query a little off it."""
    plane = torch.cat((gaussian(50, 2, generator=generator), torch.zeros(50, 1)), dim=1)
    query = torch.tensor([[0.0, 0.0, 1e-8]], dtype=torch.double)
    found = membership(plane, query)
    assert found.inside.item()
    assert not proved_inside(found, plane).item()
    assert proved_inside(membership(plane, 0 * query), plane).item()
