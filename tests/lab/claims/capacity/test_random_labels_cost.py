"""Random labels take longer, by a factor; two sets of true labels do not."""

import pytest
import torch

from offmap.lab.claims.capacity import memorizing
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.random_labels_cost import random_labels_cost
from offmap.lab.run import find

SMALL = {"n": 40, "repeats": 2, "width": 64, "epochs": 80, "batch_size": 40, "rate": 0.01}


def test_supported_at_smoke():
    assert find(["random_labels_cost"], scale="smoke")[0].verdict == "supported"


def test_true_labels_against_true_labels_cost_nothing(monkeypatch, generator):
    monkeypatch.setattr(memorizing, "Arm", lambda random_targets=0.0: Arm())
    assert random_labels_cost(generator=generator, **SMALL).effect == pytest.approx(1, abs=0.05)


def test_epochs_are_counted_to_the_first_with_every_label_right(generator):
    found = memorizing.memorize(generator=generator, **SMALL)
    curve = found.figure.series["true labels"]
    step = int(found.figure.x[1] - found.figure.x[0])
    last = int(found.epochs[0].max())
    assert (curve[: (last - 1) // step] < 1).all()
    assert torch.isfinite(found.epochs).all()


def test_a_network_that_never_fits_is_a_failed_trial(generator):
    with pytest.raises(ValueError, match="finite"):
        random_labels_cost(generator=generator, **(SMALL | {"epochs": 2}))
