"""Random labels give chance on new digits; labels that are half true do not."""

import torch

from offmap.lab.claims.capacity import memorizing
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.random_labels_teach_nothing import random_labels_teach_nothing
from offmap.lab.run import find

SMALL = {"n": 40, "repeats": 6, "width": 64, "epochs": 80, "batch_size": 40, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["random_labels_teach_nothing"], scale="smoke")[0].verdict == "supported"


def test_labels_that_are_half_true_are_told_from_chance(monkeypatch, generator):
    monkeypatch.setattr(memorizing, "Arm", lambda random_targets=0.0: Arm(random_targets=0.5))
    assert random_labels_teach_nothing(generator=generator, **SMALL).effect > 4


def test_untrained_networks_are_at_chance_too(generator):
    """The law asks for symmetry between the classes, not for training."""
    found = memorizing.memorize(
        generator=generator, **(SMALL | {"repeats": 200, "width": 8, "epochs": 1, "rate": 0.0})
    )
    both = found.held_out.double()
    error = both.std(dim=1) / torch.tensor(200.0).sqrt()
    assert ((both.mean(dim=1) - 0.1).abs() < 4 * error).all()
