"""Moving by a whole pixel costs; it does not where pictures stay."""

from offmap.lab.claims.capacity import augmentation_must_fit as module
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["augmentation_must_fit"], scale="smoke")[0].verdict == "supported"


def test_fails_where_nothing_is_moved(monkeypatch, generator):
    monkeypatch.setattr(module, "Arm", lambda shift=0.0: Arm())
    trial = module.augmentation_must_fit(generator=generator, **SMALL)
    assert abs(trial.effect) < 0.005
