"""Printed numbers that follow one another do not look ever more alike."""

import pytest
import torch

from offmap.lab.claims.manifold.printed_numbers_are_a_curve import printed_numbers_are_a_curve
from offmap.lab.run import find
from offmap.lab.worlds import blobs, printed_digits


def test_the_verdict():
    (finding,) = find(["printed_numbers_are_a_curve"], scale="smoke")
    assert finding.verdict == "refuted"
    assert finding.statement.corrected == "printed_numbers_are_points"
    assert finding.parts["moving dot, most digits"].high < 0.01  # the control is a curve


def test_the_share_is_what_enumeration_gives(generator):
    """All steps and all pairs of two digits."""
    pictures = printed_digits(torch.arange(100), 2).flatten(1)
    steps = pictures.diff(dim=0).norm(dim=1).mean()
    pairs = torch.cdist(pictures, pictures).mean()
    trial = printed_numbers_are_a_curve(places=(2,), pairs=40000, generator=generator)
    assert trial.effect == pytest.approx((steps / pairs).item(), rel=0.02)


def test_a_smooth_rendering_supports_it(generator, monkeypatch):
    """The control: of a dot at the number's place, successive numbers do look alike."""

    def smooth(numbers, places):
        return blobs(numbers / 10**places, 16)

    monkeypatch.setattr(
        "offmap.lab.claims.manifold.printed_numbers_are_a_curve.printed_digits", smooth
    )
    trial = printed_numbers_are_a_curve(places=(1, 3), pairs=500, generator=generator)
    assert trial.effect < 0.05
