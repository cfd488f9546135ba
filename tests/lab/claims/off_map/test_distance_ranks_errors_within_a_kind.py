"""Correlations of distance and error within each kind of corruption."""

import pytest
import torch

from offmap.lab.claims.off_map import distance_ranks_errors_within_a_kind as file
from offmap.lab.claims.off_map.corrupted_digits import Corrupted
from offmap.lab.run import find


def test_the_verdict():
    finding = find(["distance_ranks_errors_within_a_kind"], scale="smoke")[0]
    assert finding.verdict == "supported"


def made(distance, wrong):
    return Corrupted(distance, distance, wrong)


def test_the_effect_is_the_mean_over_kinds(generator, monkeypatch):
    """And the control: of a kind whose mistakes are the near ones it is negative."""
    distance = torch.arange(40, dtype=torch.double)
    kinds = {"far": made(distance, distance >= 20), "near": made(distance, distance < 20)}
    monkeypatch.setattr(file, "corrupted", lambda **_: kinds)
    claim = file.distance_ranks_errors_within_a_kind
    trial = claim(epochs=1, examples=1, generator=generator)
    assert trial.effect == pytest.approx(0, abs=1e-12)
    assert trial.parts["far"] == pytest.approx(-trial.parts["near"])
    assert trial.parts["far"] == pytest.approx(0.75**0.5, rel=0.01)  # a halving, for many points


def test_a_kind_without_mistakes_fails_the_trial(generator, monkeypatch):
    distance = torch.arange(40, dtype=torch.double)
    monkeypatch.setattr(file, "corrupted", lambda **_: {"": made(distance, distance > 99)})
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="finite"):
        file.distance_ranks_errors_within_a_kind(epochs=1, examples=1, generator=generator)
