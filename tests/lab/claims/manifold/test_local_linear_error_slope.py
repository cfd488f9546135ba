"""Local linear fits: the plane, and the rate that smoothness gives."""

import math

import numpy as np
import torch

from offmap.lab.claims.manifold.local_linear_error_slope import predict
from offmap.lab.claims.manifold.torus_regression import Regression, TorusRegression
from offmap.lab.run import find
from offmap.numerics.neighbors import search


def test_the_verdict():
    (finding,) = find(["local_linear_error_slope"], scale="smoke")
    assert finding.verdict == "supported"
    # the control: the mean of the same neighbors falls half as fast
    assert finding.parts["d x slope of the neighbors' mean, d = 1"].low > -1.4


def test_the_plane_is_that_of_numpy(generator):
    world = TorusRegression(2, 4, generator=generator)
    train, test = world.draw(200, generator=generator), world.draw(5, generator=generator)
    near = search(test.points, train.points, k=9).index
    found = predict(train, near, test.angles)
    for row in range(5):
        steps = (train.angles[near[row]] - test.angles[row]).numpy()
        steps = (steps + math.pi) % (2 * math.pi) - math.pi
        design = np.column_stack([np.ones(9), steps])
        plane, *_ = np.linalg.lstsq(design, train.targets[near[row]].numpy())
        assert abs(found[row].item() - plane[0]) < 1e-9


def test_a_target_that_is_linear_near_the_seam_is_fitted_exactly():
    """Angles on both sides of zero are neighbors."""
    angles = torch.tensor([0.05, 0.1, 2 * math.pi - 0.05, 2 * math.pi - 0.1], dtype=torch.double)[
        :, None
    ]
    signed = torch.tensor([0.05, 0.1, -0.05, -0.1], dtype=torch.double)
    points = torch.cat([angles.cos(), angles.sin()], dim=1)
    train = Regression(angles, points, 3 * signed + 1)
    found = predict(train, torch.arange(4)[None], torch.full((1, 1), 0.02, dtype=torch.double))
    assert abs(found.item() - 1.06) < 1e-9


def test_a_target_with_a_jump_has_no_such_rate(generator):
    """The control: the rate is that of smooth targets."""
    errors = []
    for n in (200, 3200):
        world = TorusRegression(1, 2, generator=generator)
        train, test = (world.draw(m, generator=generator) for m in (n, 2000))
        near = search(test.points, train.points, k=6).index
        step = train._replace(targets=train.targets.sign())
        errors.append((predict(step, near, test.angles) - test.targets.sign()).square().mean())
    exponent = math.log(math.sqrt(errors[1] / errors[0])) / math.log(16)
    assert exponent > -1  # of a smooth target it is -2
