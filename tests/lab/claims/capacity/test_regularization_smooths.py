"""Of six regularizers, one brings boundaries closer."""

from offmap.lab.claims.capacity.regularization_smooths import regularization_smooths
from offmap.lab.claims.capacity.smoothing import REGULARIZERS, farther
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["regularization_smooths"], scale="smoke")[0].verdict == "refuted"


def test_moved_pictures_are_the_counterexample_and_the_only_one(generator):
    trial = regularization_smooths(generator=generator, **SMALL)
    gains = {name: farther(trial, name) for name in REGULARIZERS}
    assert trial.effect == min(gains.values()) == gains.pop("moved pictures")
    assert min(gains.values()) > trial.effect + 0.1
