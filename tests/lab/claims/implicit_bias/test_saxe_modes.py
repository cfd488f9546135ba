import pytest
import torch

from offmap.lab.claims.implicit_bias.deep_linear import Layers, orthonormal, target
from offmap.lab.claims.implicit_bias.saxe_modes import (
    crossings,
    distance,
    one_layer,
    trajectory,
)
from offmap.lab.run import find


def test_verdict():
    found = find(["saxe_modes"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["distance at twice the rate / distance"].value == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("broken", ["unbalanced", "turned"])
def test_control_other_starts_leave_the_law(broken, generator):
    """The law is of balanced, aligned weights: one layer ten times smaller, or turned away."""
    modes, first = target((8.0, 3.0), 8, 12, generator), torch.full((2,), 1e-3).double()
    frame, other = orthonormal(10, 2, generator), orthonormal(10, 2, generator)
    gain = 10.0 if broken == "unbalanced" else 1.0
    last = frame if broken == "unbalanced" else other
    start = Layers(
        1e-3**0.5 * gain * frame @ modes.right.mT, 1e-3**0.5 / gain * modes.left @ last.mT
    )
    assert distance(modes, first, *trajectory(modes, start, 1e-3, 1.5)) > 0.1


def test_one_layer_learns_all_modes_at_once(generator):
    """1 - (1 - rate)^k of each, whatever its strength."""
    modes = target((8.0, 3.0), 8, 12, generator)
    path = one_layer(modes, 0.01, 3.0)
    expected = modes.strength * (1 - 0.99 ** torch.arange(300).double())[:, None]
    torch.testing.assert_close(path, expected)
    assert crossings(modes, path).tolist() == [69.0, 69.0]  # log 2 / -log 0.99 = 68.97
