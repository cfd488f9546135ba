"""A network without regularization does nearly as well; one that cannot fit does not."""

from offmap.lab.claims.capacity import regularized
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.regularization_not_necessary import (
    ARMS,
    regularization_not_necessary,
)
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["regularization_not_necessary"], scale="smoke")[0].verdict == "supported"


def test_fails_where_plain_training_is_crippled(monkeypatch, generator):
    """The claim is about these digits: were plain training as bad as this, it would be false."""
    monkeypatch.setitem(ARMS, regularized.PLAIN, Arm(random_targets=0.8))
    assert regularization_not_necessary(generator=generator, **SMALL).effect > 0.06


def test_effect_is_the_best_minus_none_and_random_labels_are_at_chance(generator):
    trial = regularization_not_necessary(generator=generator, **SMALL)
    right = {name: trial.parts[f"{name}: test accuracy"] for name in (*ARMS, "random labels")}
    assert right.pop("random labels") < 0.25
    assert trial.effect == max(right.values()) - right["none"] >= 0
