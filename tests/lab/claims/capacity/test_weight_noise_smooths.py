"""Noise on weights, at the usual dose, does next to nothing; as strong as dropout it does."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["weight_noise_smooths"], scale="smoke")[0].verdict == "refuted"


def test_it_is_the_dose(generator):
    arms = {"usual": Arm(weight_noise=0.3), "as strong as dropout": Arm(weight_noise=1.0)}
    parts = against_plain(arms, generator=generator, **(SMALL | {"repeats": 8})).parts
    slopes = [parts[f"{name}: slope of the scores, times plain"] for name in arms]
    assert slopes[1] < 0.5 < slopes[0]


def test_no_noise_changes_nothing(generator):
    trial = against_plain({"none": Arm(weight_noise=0.0)}, generator=generator, **SMALL)
    assert abs(trial.effect) < 0.01
