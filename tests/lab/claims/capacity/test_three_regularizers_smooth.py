"""Three regularizers widen the room around digits more than three others."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import REGULARIZERS, SMOOTHING, farther
from offmap.lab.claims.capacity.three_regularizers_smooth import three_regularizers_smooth
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["three_regularizers_smooth"], scale="smoke")[0].verdict == "supported"


def test_effect_is_the_gap_between_the_groups(generator):
    trial = three_regularizers_smooth(generator=generator, **SMALL)
    gains = sorted((farther(trial, name), name) for name in REGULARIZERS)
    first = min(gain for gain, name in gains if name in SMOOTHING)
    last = max(gain for gain, name in gains if name not in SMOOTHING)
    assert trial.effect == first - last


def test_fails_where_a_regularizer_is_turned_off(monkeypatch, generator):
    monkeypatch.setitem(REGULARIZERS, "weight decay", Arm())
    trial = three_regularizers_smooth(generator=generator, **SMALL)
    assert abs(farther(trial, "weight decay")) < 0.01
    assert trial.effect < 0
