"""Moved pictures bring boundaries closer; pictures that stay do not."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["shifts_smooth"], scale="smoke")[0].verdict == "refuted"


def test_moving_by_nothing_changes_nothing_and_by_less_costs_less(generator):
    arms = {"still": Arm(shift=0.0), "half": Arm(shift=0.5), "whole": Arm(shift=1.0)}
    trial = against_plain(arms, generator=generator, **SMALL)
    assert abs(trial.effect) < 0.01
    half, whole = (trial.parts[f"{name}: distance, times plain"] for name in ("half", "whole"))
    assert whole < half - 0.05 < 1
