"""Noise on pixels widens the room around digits, the more the more of it there is."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["input_noise_smooths"], scale="smoke")[0].verdict == "supported"


def test_more_noise_does_more_and_none_nothing(generator):
    arms = {f"{size}": Arm(input_noise=size) for size in (0.0, 0.02, 0.3)}
    trial = against_plain(arms, generator=generator, **SMALL)
    assert abs(trial.effect) < 0.01
    little, much = (trial.parts[f"{size}: distance, times plain"] for size in (0.02, 0.3))
    assert little < 1.08 < much
