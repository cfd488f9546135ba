"""Distance in features, over all kinds of corruption."""

import pytest
import torch

from offmap.lab.claims.off_map import feature_distance_ranks_errors as file
from offmap.lab.claims.off_map.corrupted_digits import Corrupted
from offmap.lab.run import find


def test_the_verdict():
    assert find(["feature_distance_ranks_errors"], scale="smoke")[0].verdict == "refuted"


def test_features_are_ranked_and_inputs_are_the_control(generator, monkeypatch):
    """Features that know the mistakes, inputs that know the opposite."""
    distance = torch.arange(40, dtype=torch.double)
    kinds = {"": Corrupted(-distance, distance, distance >= 20)}
    monkeypatch.setattr(file, "corrupted", lambda **_: kinds)
    trial = file.feature_distance_ranks_errors(epochs=1, examples=1, generator=generator)
    assert trial.effect > 0.8
    assert trial.parts["by input distance"] == pytest.approx(-trial.effect)
