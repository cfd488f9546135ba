"""Dropout hinders the storing of random labels, and a little of it hardly does."""

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.dropout_hinders_storing import ON_RANDOM, dropout_hinders_storing
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 60, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["dropout_hinders_storing"], scale="smoke")[0].verdict == "supported"


def test_fails_without_dropout(monkeypatch, generator):
    monkeypatch.setitem(ON_RANDOM, "dropout", Arm(dropout=0.0, random_targets=1.0))
    assert dropout_hinders_storing(generator=generator, **SMALL).effect < 0.1
