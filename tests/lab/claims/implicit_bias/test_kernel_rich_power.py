import numpy as np

from offmap.lab.claims.implicit_bias.diagonal import smallest
from offmap.lab.claims.implicit_bias.kernel_rich_power import draw
from offmap.lab.run import find


def test_smoke_verdict():
    assert find(["kernel_rich_power"], scale="smoke")[0].verdict == "supported"


def test_the_excess_is_the_difference_of_norms(generator):
    world = draw(8, 25, generator)
    assert (~world.zero).sum() == 8
    log_scales = np.array([-1.0, -5.0, -20.0])
    norms = np.abs(smallest(world.x, world.y, log_scales.tolist())).sum(axis=1)
    np.testing.assert_allclose(world.excess(log_scales), norms / world.l1 - 1, atol=1e-12)


def test_another_exponent_is_off(generator):
    """One slack instead of two, or the next slack, would be refused at this tolerance."""
    world = draw(8, 25, generator)
    deep = np.log(1e-10) / (2 * world.slack)
    upper, lower = world.excess(np.array([deep, 2 * deep]))
    exponent = np.log(lower / upper) / deep
    slacks = np.sort((1 - np.abs(world.dual))[world.zero])
    assert abs(exponent / (2 * slacks[0]) - 1) < 0.05
    assert abs(exponent / slacks[0] - 1) > 0.5
    assert abs(exponent / (2 * slacks[1]) - 1) > 0.05
