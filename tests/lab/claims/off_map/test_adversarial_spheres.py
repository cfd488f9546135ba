"""Errors of a trained network on the inner of two spheres."""

import pytest
import torch
from torch import nn

from offmap.lab.claims.off_map.adversarial_spheres import adversarial_spheres, nearest_errors
from offmap.lab.claims.off_map.sphere_caps import cap_cosine, mean_distance_to_cap
from offmap.lab.run import find
from offmap.lab.worlds import sphere


def test_the_verdict():
    (finding,) = find(["adversarial_spheres"], scale="smoke")
    assert finding.verdict == "supported"
    found = finding.parts["starts from which an error was found"]
    assert (found if isinstance(found, float) else found.value) > 0.9


class Cap(nn.Module):
    """Wrong, on the unit sphere, on a cap around the first axis."""

    def __init__(self, edge: float) -> None:
        super().__init__()
        self.edge = edge

    def forward(self, inputs):
        """Above zero in the cap."""
        return inputs[:, :1] - self.edge


def test_ascent_finds_the_nearest_point_of_a_cap(generator):
    """And so the mean distance over starts is the law's, to four standard errors."""
    n, measure = 20, 0.05
    edge = cap_cosine(measure, n)
    start = sphere(2000, n, generator=generator).float()
    distance, found = nearest_errors(Cap(edge), start)
    assert bool(found.all())
    first = start[:, 0].double()
    angle = first.arccos() - torch.tensor(edge, dtype=torch.double).arccos()
    expected = 2 * (angle.clamp_min(0) / 2).sin()
    torch.testing.assert_close(distance, expected, atol=2e-4, rtol=0)
    law, error = mean_distance_to_cap(measure, n), distance.std().item() / 2000**0.5
    assert abs(distance.mean().item() - law) < 4 * error


def test_what_has_no_errors_is_said_so(generator):
    start = sphere(50, 5, generator=generator).float()
    _, found = nearest_errors(Cap(2.0), start)
    assert not bool(found.any())


def test_in_two_dimensions_there_is_no_error_to_be_found(generator):
    """The control: a circle is learned without errors, and then there is nothing to compare."""
    with pytest.raises(ValueError, match="expected errors among 20000 points, got none"):
        adversarial_spheres(
            n=2, width=64, updates=150, points=20000, starts=20, generator=generator
        )
