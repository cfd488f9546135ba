"""Dropout widens the room around digits; dropping nothing does nothing."""

import pytest

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["dropout_smooths"], scale="smoke")[0].verdict == "supported"


def test_more_dropout_does_more_and_none_nothing(generator):
    arms = {"none": Arm(dropout=0.0), "little": Arm(dropout=0.05), "half": Arm(dropout=0.5)}
    trial = against_plain(arms, generator=generator, **SMALL)
    assert abs(trial.effect) < 0.01
    slopes = [trial.parts[f"{name}: slope of the scores, times plain"] for name in arms]
    assert slopes[0] == pytest.approx(1, abs=0.01)
    assert slopes[2] < 0.8 < slopes[1]
