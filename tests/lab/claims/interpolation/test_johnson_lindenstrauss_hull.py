from math import log

import pytest
import torch

from offmap.lab.claims.interpolation import johnson_lindenstrauss_hull as module
from offmap.lab.run import find


def test_verdict():
    assert find(["johnson_lindenstrauss_hull"], scale="smoke")[0].verdict == "supported"


def test_the_guarantee_holds_for_random_projections(generator):
    """Gaussian projections to as many dimensions keep all squared distances of 30 points."""
    k = round(module.guaranteed(30, 0.9))
    points = torch.randn(30, 400, generator=generator, dtype=torch.double)
    shadow = points @ torch.randn(400, k, generator=generator, dtype=torch.double) / k**0.5
    ratio = torch.pdist(shadow).square() / torch.pdist(points).square()
    assert 0.1 < ratio.min() <= ratio.max() < 1.9


def test_in_the_limit_it_is_twelve_over_the_distortion(generator):
    trial = module.johnson_lindenstrauss_hull(dimensions=(400,), generator=generator)
    assert trial.effect == pytest.approx(12 / (3 * 0.99**2 - 2 * 0.99**3), rel=0.1)


def test_few_points_in_many_dimensions_do_gain(monkeypatch, generator):
    monkeypatch.setattr(module, "samples_needed", lambda d: 1000)
    trial = module.johnson_lindenstrauss_hull(dimensions=(784,), generator=generator)
    assert trial.effect == pytest.approx(24 * log(1000) / (3 * 0.99**2 - 2 * 0.99**3) / 784)
    assert trial.effect < 1
