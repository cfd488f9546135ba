import torch

from offmap.lab.claims.symbolic.rays import far_points, learned
from offmap.lab.claims.symbolic.relu_extrap_straight import _straightness
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["relu_extrap_straight"], scale="smoke")[0].verdict == "supported"


def test_straightness_is_the_share_that_least_squares_explains(generator):
    x = far_points(-1)
    y = x.square() + torch.randn(x.shape, generator=generator, dtype=torch.double)
    design = torch.cat([x, torch.ones_like(x)], dim=1)
    rest = y - design @ torch.linalg.lstsq(design, y).solution
    explained = 1 - rest.square().sum() / (y - y.mean()).square().sum()
    torch.testing.assert_close(_straightness(x, y), explained)


def test_functions_that_go_on_as_they_were_are_not_straight():
    """The control: what would refute it, were it what networks do."""
    x = far_points(1)
    assert _straightness(x, 3 - 2 * x) > 1 - 1e-12
    assert _straightness(x, x.square()) < 0.999
    assert _straightness(x, x.sin()) < 0.95


def test_one_row_of_networks_for_each_name(generator):
    found = learned(("x^2", "2 x"), 4, 1, 3, generator=generator)
    assert list(found) == ["x^2", "2 x"] and [len(row) for row in found.values()] == [3, 3]
