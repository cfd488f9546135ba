"""The slope of a lookup's error, and the torus that it is read on."""

import math

import numpy as np
import pytest
import torch

from offmap.lab.claims.manifold import nearest_error_slope as file
from offmap.lab.claims.manifold.torus_regression import TorusRegression, slope
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["nearest_error_slope"], scale="smoke")
    assert finding.verdict == "supported"
    for d in (1, 2):
        part = finding.parts[f"RMSE over its law, d = {d}"]
        assert part.low < 1 < part.high  # the law gives the error itself, not the slope alone


def test_the_slope_is_that_of_numpy():
    sizes, errors = (10, 50, 400), [0.5, 0.2, 0.07]
    expected = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope(sizes, errors) == pytest.approx(expected)
    assert slope(sizes, [n**-0.5 for n in sizes]) == pytest.approx(-0.5)


@pytest.mark.parametrize(("d", "frequency"), [(1, 1), (3, 2)])
def test_examples_are_points_of_circles_with_smooth_targets(d, frequency, generator):
    world = TorusRegression(d, 9, frequency=frequency, generator=generator)
    angles, points, targets = world.draw(200, generator=generator)
    chords = 2 - 2 * (angles[:100] - angles[100:]).cos()
    found = (points[:100] - points[100:]).square().sum(dim=1)
    torch.testing.assert_close(found, chords.sum(dim=1))
    assert int(torch.linalg.matrix_rank(points)) == 2 * d
    expected = sum(math.sin(frequency * angle) for angle in angles[7].tolist()) / math.sqrt(d)
    assert targets[7].item() == pytest.approx(expected)
    fit = torch.linalg.lstsq(points, targets[:, None]).solution
    linear = bool((points @ fit - targets[:, None]).abs().max() < 1e-9)
    assert linear == (frequency == 1)


def test_the_space_is_no_matter_but_the_dimension_is(generator):
    """The control: read as if d were the dimension of the space, the law is far off."""
    trial = file.nearest_error_slope(
        dimensions=(2,), ambients=(4, 60), sizes=(64, 512), queries=1000, generator=generator
    )
    few, many = (trial.parts[f"d x slope, d = 2 in {ambient}"] for ambient in (4, 60))
    assert abs(few - many) < 0.25
    assert abs(60 * many / 2 + 1) > 20


class Steps(TorusRegression):
    """Targets that jump from -1 to 1."""

    def draw(self, n, *, generator):
        """So many examples, evenly."""
        smooth = super().draw(n, generator=generator)
        return smooth._replace(targets=smooth.targets.sign())


def test_a_target_that_jumps_has_half_the_slope(generator, monkeypatch):
    """The control: errors are where a neighbor lies across the jump, a share n^(-1/d)."""
    monkeypatch.setattr(file, "TorusRegression", Steps)
    trial = file.nearest_error_slope(
        dimensions=(2,), ambients=(4,), sizes=(100, 1600), queries=20000, generator=generator
    )
    assert trial.effect == pytest.approx(0.5, abs=0.15)
