"""Regularizers raise the training loss; being no regularizer does not."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.regularizers_make_training_harder import (
    REGULARIZERS,
    regularizers_make_training_harder,
)
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["regularizers_make_training_harder"], scale="smoke")[0].verdict == "supported"


def test_fails_with_an_arm_that_makes_training_easier(monkeypatch, generator):
    monkeypatch.setitem(REGULARIZERS, "larger initial weights", Arm(init=3.0))
    assert regularizers_make_training_harder(generator=generator, **SMALL).effect < 0


def test_fails_with_an_arm_that_does_nothing(monkeypatch, generator):
    monkeypatch.setitem(REGULARIZERS, "nothing", Arm())
    assert regularizers_make_training_harder(generator=generator, **SMALL).effect < 1e-3
