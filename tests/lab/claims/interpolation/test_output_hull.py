import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from offmap.lab.claims.interpolation.output_hull import distance, output_hull, world
from offmap.lab.run import find


def test_verdict():
    assert find(["output_hull"], scale="smoke")[0].verdict == "supported"


def test_distance_is_beyond_the_farthest_facet_of_qhull(generator):
    targets = torch.randn(50, 2, generator=generator, dtype=torch.double)
    radius = (targets - targets.mean(0)).square().sum(1).mean().sqrt().item()
    hull = ConvexHull(targets.numpy())
    outside = torch.tensor([[3.0, 4.0]], dtype=torch.double)
    facets = hull.equations @ np.array([3.0, 4.0, 1.0])
    found = distance(torch.cat((targets[:5], outside)), targets) * radius
    assert 0.5 * facets.max() < found
    corner = torch.cdist(outside, targets).min().item()
    assert found <= corner + 1e-9
    assert distance(targets.mean(dim=0, keepdim=True), targets) == 0


def test_far_inputs_of_a_linear_world_leave(generator):
    y = world(200, generator)[1]
    assert distance(10 * y, y) > 1
    trial = output_hull(examples=50, queries=20, trees=2, generator=generator)
    assert trial.parts["control: least squares"] > 1


def test_forest_averages_its_trees(generator):
    """Each leaf's mean lies in the hull: no sum of trees does that (see boosting)."""
    _, y = world(30, generator)
    weights = torch.rand(10, 30, generator=generator, dtype=torch.double)
    means = weights / weights.sum(dim=1, keepdim=True) @ y
    assert distance(means, y) == pytest.approx(0)
