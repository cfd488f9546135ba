"""Dropout keeps random labels from being stored in time; the penalties do not."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.regularization_not_sufficient import (
    ON_RANDOM,
    regularization_not_sufficient,
)
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 60, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["regularization_not_sufficient"], scale="smoke")[0].verdict == "refuted"


def test_it_is_dropout_that_fails_it(monkeypatch, generator):
    whole = regularization_not_sufficient(generator=generator, **SMALL)
    assert whole.effect == whole.parts["dropout: random labels fitted"]
    monkeypatch.setitem(ON_RANDOM, "dropout", Arm(random_targets=1.0))
    without = regularization_not_sufficient(generator=generator, **SMALL)
    assert without.effect > max(0.9, whole.effect)
