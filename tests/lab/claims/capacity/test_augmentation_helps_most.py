"""Moved pictures cost accuracy on small digits, others do not."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.augmentation_helps_most import ARMS, MOVED, augmentation_helps_most
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["augmentation_helps_most"], scale="smoke")[0].verdict == "refuted"


def test_pictures_that_stay_cost_nothing(monkeypatch, generator):
    for name in ARMS:
        monkeypatch.setitem(ARMS, name, Arm())
    assert abs(augmentation_helps_most(generator=generator, **SMALL).effect) < 0.005


def test_effect_leaves_moved_pictures_out_of_the_best(generator):
    trial = augmentation_helps_most(generator=generator, **SMALL)
    right = {name: trial.parts[f"{name}: test accuracy"] for name in ARMS}
    assert trial.effect == right.pop(MOVED) - max(right.values())
