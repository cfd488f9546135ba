"""One dimension at every resolution, where the picture is smooth in the position."""

import pytest
import torch

from offmap.lab.claims.manifold.moving_dot_dimension import moving_dot_dimension
from offmap.lab.run import find
from offmap.lab.worlds import blobs


def test_the_verdict():
    (finding,) = find(["moving_dot_dimension"], scale="smoke")
    assert finding.verdict == "supported"
    few, many = (finding.parts[f"{side} x {side} pixels: TwoNN"] for side in (16, 32))
    assert many.value == pytest.approx(few.value, rel=1e-3)


def test_a_dot_that_moves_two_ways_is_not_one_dimensional(generator, monkeypatch):
    """The control: the same reading tells two freedoms from one."""

    def wandering(positions, side):
        brightness = 0.5 + torch.rand(len(positions), 1, 1, generator=generator).double()
        return blobs(positions, side) * brightness

    monkeypatch.setattr("offmap.lab.claims.manifold.moving_dot_dimension.blobs", wandering)
    trial = moving_dot_dimension(sides=(16,), n=500, generator=generator)
    assert trial.effect > 8
    assert trial.parts["16 x 16 pixels: TwoNN"] == pytest.approx(2, abs=0.4)


def test_a_dot_of_less_than_a_pixel_has_no_one_dimension(generator, monkeypatch):
    """Below a pixel the curve is not smooth: it jumps from pixel to pixel."""

    def sharp(positions, side):
        return blobs(positions, side, width=0.004)

    monkeypatch.setattr("offmap.lab.claims.manifold.moving_dot_dimension.blobs", sharp)
    assert moving_dot_dimension(sides=(16,), n=500, generator=generator).effect > 4
