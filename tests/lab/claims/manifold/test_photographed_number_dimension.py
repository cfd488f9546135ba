"""A camera whose freedoms are counted."""

import pytest
import torch

from offmap.lab.claims.manifold import photographed_number_dimension as file
from offmap.lab.claims.manifold.photographed_number_dimension import photograph
from offmap.lab.run import find


def still(n):
    return torch.zeros(n, 5, dtype=torch.double)


def test_the_verdict():
    assert find(["photographed_number_dimension"], scale="smoke")[0].verdict == "supported"


def test_a_camera_at_rest_sees_the_page():
    page = file._page(2)
    torch.testing.assert_close(photograph(page, still(1))[0], page)


def test_each_freedom_does_what_it_says():
    page = torch.zeros(20, 20, dtype=torch.double)
    page[8:12, 8:12] = 1
    moved, turned, brighter, larger = still(1), still(1), still(1), still(1)
    moved[0, 0] = -0.2  # half pages of 10 pixels: two pixels to the right
    turned[0, 2] = torch.pi / 2
    brighter[0, 3] = 0.15
    larger[0, 4] = -0.5  # the page is looked at from half as far
    assert torch.equal(photograph(page, moved)[0].round(decimals=9), page.roll(2, dims=1))
    corner = page.clone()
    corner[8, 8] = 0
    seen = photograph(corner, turned)[0]
    assert torch.allclose(seen, torch.rot90(corner)) or torch.allclose(
        seen, torch.rot90(corner, -1)
    )
    torch.testing.assert_close(photograph(page, brighter)[0], 1.15 * page)
    assert photograph(page, larger)[0].sum().item() == pytest.approx(4 * 16, rel=0.1)


def test_freedoms_that_go_together_are_not_counted_twice(generator, monkeypatch):
    """The control: five numbers that are all one freedom read one dimension, so the claim fails."""

    def locked(page, freedoms):
        return photograph(page, freedoms[:, :1] * torch.tensor([1.0, 1, 0.5, 0.5, 0.5]).double())

    monkeypatch.setattr(file, "photograph", locked)
    trial = file.photographed_number_dimension(n=400, zoom=2, generator=generator)
    assert trial.effect == pytest.approx(4, abs=0.3)
