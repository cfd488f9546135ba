"""Kinds of corruption by distance and by harm."""

import pytest
import torch

from offmap.lab.claims.off_map import farther_kinds_err_more as file
from offmap.lab.claims.off_map.corrupted_digits import Corrupted
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["farther_kinds_err_more"], scale="smoke")
    assert finding.verdict == "refuted"
    assert finding.statement.corrected == "distance_ranks_errors_within_a_kind"


@pytest.mark.parametrize(("harms", "expected"), [((1, 5, 9), 1.0), ((9, 5, 1), -1.0)])
def test_the_effect_is_the_correlation_over_kinds(harms, expected, generator, monkeypatch):
    """And the control: where farther kinds do more harm, the claim holds."""
    kinds = {
        str(place): Corrupted(
            torch.full((10,), float(place)), torch.zeros(10), torch.arange(10) < harm
        )
        for place, harm in enumerate(harms)
    }
    monkeypatch.setattr(file, "corrupted", lambda **_: kinds)
    trial = file.farther_kinds_err_more(epochs=1, examples=1, generator=generator)
    assert trial.effect == pytest.approx(expected)
    assert trial.parts["1: error"] == 0.5
