import pytest
import torch
from scipy.optimize import minimize_scalar

from offmap.lab.claims.capacity.double_descent_epoch import law_of, make, turning_points
from offmap.lab.claims.capacity.double_descent_epoch_paced import VALLEY, paced
from offmap.lab.run import find


def test_verdict():
    found = find(["double_descent_epoch_paced"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["turns of the law, one rate"].value == 3
    assert found.parts["turns of the law, paced"].value == 1


def test_both_groups_are_at_their_best_at_the_same_step(generator):
    """The best share left of each group's error, by a search over the U-curve."""
    world = make(2, 0.2, generator)
    left = (1 - paced(world) * world.scales**2) ** VALLEY
    for feature, cost in ((0, 1.0), (-1, 1 / 9)):
        best = minimize_scalar(lambda q, c=cost: q**2 + c * (1 - q) ** 2).x
        assert left[feature].item() == pytest.approx(best, rel=1e-6)
    law = law_of(world, paced(world), torch.arange(100))
    assert law.argmin() == VALLEY
    assert law.min().item() == pytest.approx(0.6)


def test_control_rates_of_the_wrong_group_keep_the_hill(generator):
    """Slower still for the slow group: two valleys again."""
    world = make(2, 0.2, generator)
    rate = torch.where(world.scales == 1, paced(world), 0.05)
    assert len(turning_points(law_of(world, rate, torch.arange(1600)))) == 3
