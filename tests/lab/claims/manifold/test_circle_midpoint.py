"""Midpoints of chords, off the circle by a closed form."""

import math

import pytest
import torch

from offmap.lab.claims.manifold.circle_midpoint import circle_midpoint
from offmap.lab.run import find


def test_the_verdict():
    assert find(["circle_midpoint"], scale="smoke")[0].verdict == "supported"


def test_distances_are_those_of_plane_geometry(generator):
    """The midpoint of a chord of angle a lies at cos(a / 2) from the center."""
    trial = circle_midpoint(n=40, pairs=200, generator=generator)
    curve = trial.figures[0]
    for angle, found in zip(curve.x.tolist(), curve.series["plane"].tolist(), strict=True):
        x, y = (1 + math.cos(angle)) / 2, math.sin(angle) / 2
        assert found == pytest.approx(1 - math.hypot(x, y), abs=1e-12)
    mean = trial.parts["mean distance, midpoint in the plane"]
    assert mean == pytest.approx(1 - 2 / math.pi, abs=0.1)  # angles spread over a half turn
    assert trial.parts["largest distance, midpoint of angles"] < 1e-12


def test_on_a_straight_line_midpoints_are_on_it(generator, monkeypatch):
    """The control: without curvature the law has nothing to say, and fails."""

    def straight(positions, ambient):
        return torch.stack([positions, 0 * positions], dim=1)

    monkeypatch.setattr("offmap.lab.claims.manifold.circle_midpoint.curve", straight)
    assert circle_midpoint(n=100, pairs=50, generator=generator).effect > 0.5
