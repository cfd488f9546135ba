"""The gap around a printed number, and ties of distances."""

import pytest
import torch

from offmap.lab.claims.manifold.printed_numbers_are_points import (
    _ties,
    _two_nearest,
    printed_numbers_are_points,
)
from offmap.lab.run import find
from offmap.lab.worlds import GLYPHS, blobs, printed_digits
from offmap.numerics.dimension import neighborhoods
from offmap.numerics.neighbors import search


def test_the_verdict():
    (finding,) = find(["printed_numbers_are_points"], scale="smoke")
    assert finding.verdict == "supported"
    tied = finding.parts["3 digits: share equally far from their first two"]
    assert tied.value > 0.05


def test_the_gap_is_that_of_the_glyphs_themselves(generator):
    dots = [glyph.replace(" ", "") for glyph in GLYPHS]
    least = min(
        sum(a != b for a, b in zip(dots[i], dots[j], strict=True))
        for i in range(10) for j in range(i)
    )  # fmt: skip
    trial = printed_numbers_are_points(places=(1, 2), sampled=100, generator=generator)
    assert trial.parts["distance of the two most alike digits"] == pytest.approx(least**0.5)
    pictures = printed_digits(torch.arange(100), 2).flatten(1)
    apart = torch.cdist(pictures, pictures) + 100 * torch.eye(100)
    assert apart.min().item() == pytest.approx(least**0.5, rel=1e-5)


def test_ties_are_those_of_all_distances():
    pictures = printed_digits(torch.arange(100), 2)
    squares = (pictures[:, None] - pictures[None]).square().sum(dim=(2, 3))
    first = (squares + 1000 * torch.eye(100)).sort(dim=1).values
    tied = (first[:, 0] == first[:, 1]).double().mean().item()
    assert _ties(_two_nearest(pictures)) == tied


def test_offmap_refuses_to_read_their_dimension():
    pictures, rows = printed_digits(torch.arange(1000), 3), torch.arange(1000)
    found = search(pictures, pictures, k=20, exclude=rows)
    with pytest.raises(ValueError, match="lie on a lattice"):
        neighborhoods(rows, found.distance, found.index)


def test_a_curve_has_no_such_gap(generator, monkeypatch):
    """The control: steps of a moving dot shrink with the number of places."""

    def smooth(numbers, places):
        return blobs(numbers / 10**places, 16)

    monkeypatch.setattr(
        "offmap.lab.claims.manifold.printed_numbers_are_points.printed_digits", smooth
    )
    trial = printed_numbers_are_points(places=(1, 2, 3), sampled=100, generator=generator)
    assert trial.effect > 0.9
