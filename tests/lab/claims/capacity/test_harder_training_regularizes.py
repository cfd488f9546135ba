"""Hardness and accuracy go apart; hardness is what the loss curve says."""

import pytest
import torch
from scipy.stats import spearmanr

from offmap.lab.claims.capacity import hardness
from offmap.lab.claims.capacity.harder_training_regularizes import (
    ARMS,
    harder_training_regularizes,
)
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 2, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["harder_training_regularizes"], scale="smoke")[0].verdict == "refuted"


def test_correlation_is_that_of_scipy(generator):
    trial = harder_training_regularizes(generator=generator, **SMALL)
    names = ("plain", *ARMS)
    columns = [
        [trial.parts[f"{name}: {what}"] for name in names] for what in ("hardness", "test accuracy")
    ]
    assert trial.effect == pytest.approx(spearmanr(*columns).statistic)


def test_supported_in_a_world_where_hardness_helps(monkeypatch, generator):
    def helpful(networks, problem):
        return networks.losses.mean(dim=0) / 100

    monkeypatch.setattr(hardness, "accuracy", helpful)
    assert harder_training_regularizes(generator=generator, **SMALL).effect == pytest.approx(1)


def test_a_tenth_of_the_pace_is_harder_than_half(generator):
    arms = {"half": hardness.Arm(pace=0.5), "tenth": hardness.Arm(pace=0.1)}
    found = hardness.struggle(arms, generator=generator, **SMALL)
    assert torch.equal(found.hardness.argsort(), torch.tensor([0, 1, 2]))
