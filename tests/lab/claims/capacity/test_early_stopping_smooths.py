"""Stopping early makes the slope far smaller, and in quick training as much the margin."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["early_stopping_smooths"], scale="smoke")[0].verdict == "refuted"


def test_slope_falls_and_room_stays(generator):
    arms = {"early": Arm(stop=6), "never": Arm(stop=25)}
    parts = against_plain(arms, generator=generator, **(SMALL | {"repeats": 8})).parts
    assert parts["early: slope of the scores, times plain"] < 0.6
    assert 0.8 < parts["early: distance, times plain"] < 1.2
    assert abs(parts["never: distance, times plain"] - 1) < 0.01
