"""Weight decay widens the room around digits; none of it does nothing."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["weight_decay_smooths"], scale="smoke")[0].verdict == "supported"


def test_without_a_penalty_nothing_changes(generator):
    trial = against_plain({"none": Arm(decay=0.0)}, generator=generator, **SMALL)
    assert abs(trial.effect) < 0.01


def test_a_penalty_of_nothing_but_size_shrinks_the_slope(generator):
    parts = against_plain({"decay": Arm(decay=0.01)}, generator=generator, **SMALL).parts
    assert parts["decay: slope of the scores, times plain"] < 0.8
