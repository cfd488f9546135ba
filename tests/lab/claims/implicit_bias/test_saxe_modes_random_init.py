import pytest
import torch

from offmap.lab.claims.implicit_bias.deep_linear import Layers, orthonormal, target
from offmap.lab.claims.implicit_bias.saxe_modes_random_init import half_times, random_layers
from offmap.lab.run import find


def test_verdict():
    found = find(["saxe_modes_random_init"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["smallest half-time of a mode / that of the next stronger"].low > 1


def test_law_is_that_of_saxe_where_weights_are_aligned(generator):
    modes, frame = target((8.0, 3.0), 8, 12, generator), orthonormal(10, 2, generator)
    layers = Layers(0.02 * frame @ modes.right.mT, 0.02 * modes.left @ frame.mT)
    _, law = half_times(modes, layers, 1e-3)
    expected = torch.log(modes.strength / 0.02**2 - 1) / (2 * modes.strength)
    torch.testing.assert_close(law, expected)


def test_common_part_is_half_of_the_weights_on_average(generator):
    """The mean start of the law: hidden size^2 / 2."""
    modes = target((8.0, 3.0), 8, 12, generator)
    _, law = half_times(modes, random_layers(4000, 0.001, generator), 0.05)
    expected = torch.log(modes.strength / (4000 * 1e-6 / 2) - 1) / (2 * modes.strength)
    torch.testing.assert_close(law, expected, rtol=0.02, atol=0)


def test_control_large_weights_leave_the_law(generator):
    """Nothing dies out in time: the other half of the weights, and other modes, matter."""
    modes = target((8.0, 5.0, 3.0, 1.5), 8, 12, generator)
    measured, law = half_times(modes, random_layers(30, 0.15, generator), 1e-3)
    assert (measured / law - 1).abs().max() > 0.05


def test_control_modes_of_one_strength_have_no_order(generator):
    measured, _ = half_times(
        target((3.0, 3.0), 8, 12, generator), random_layers(400, 0.003, generator), 1e-3
    )
    assert (measured[1] / measured[0]).item() == pytest.approx(1, abs=0.05)
