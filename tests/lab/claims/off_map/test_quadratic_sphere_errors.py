"""Quadratic networks on two spheres: the rule, and the search for errors."""

import torch

from offmap.lab.claims.off_map.quadratic_sphere_errors import quadratic_sphere_errors
from offmap.lab.claims.off_map.quadratic_spheres import (
    OUTER,
    coefficients,
    found_errors,
    sampled_errors,
)
from offmap.lab.run import find


def test_the_verdict():
    (finding,) = find(["quadratic_sphere_errors"], scale="smoke")
    assert finding.verdict == "supported"
    assert [trial.parts["networks with errors"] for trial in finding.finished] == [0.5] * 5


def test_every_second_network_has_one_coefficient_above_the_range(generator):
    alpha = coefficients(30, 7, beyond=0.1, generator=generator)
    assert bool((alpha[::2, 0] == 1.1).all())
    inside = torch.cat([alpha[1::2].flatten(), alpha[::2, 1:].flatten()])
    assert bool(((inside >= 1 / OUTER**2) & (inside <= 1)).all())


def test_the_search_agrees_with_eigenvectors_in_the_plane(generator):
    """Two dimensions: all directions can be tried."""
    alpha = 0.3 + torch.rand(200, 2, generator=generator, dtype=torch.double)
    angle = torch.linspace(0, torch.pi, 2001, dtype=torch.double)
    forms = alpha @ torch.stack([angle.cos(), angle.sin()]).square()
    expected = (forms > 1).any(dim=1) | (OUTER**2 * forms < 1).any(dim=1)
    found = found_errors(alpha, steps=3000, generator=generator)
    clear = ((alpha - 1).abs().amin(dim=1) > 0.01) & ((alpha - OUTER**-2).abs().amin(dim=1) > 0.01)
    assert torch.equal(found[clear], expected[clear])
    assert 0 < int(expected[clear].sum()) < int(clear.sum())


def test_sampled_errors_are_shares_of_both_spheres(generator):
    """All coefficients a: the form is a on the inner sphere and a R^2 on the outer."""
    alpha = torch.tensor([[0.5], [0.8], [1.2]], dtype=torch.double).expand(3, 6)
    assert sampled_errors(alpha, 100, generator).tolist() == [0.5, 0, 0.5]


def test_too_short_a_search_disagrees(generator, monkeypatch):
    """The control: the agreement is that of a search that arrives."""
    file = "offmap.lab.claims.off_map.quadratic_sphere_errors.found_errors"
    monkeypatch.setattr(
        file, lambda alpha, *, steps, generator: found_errors(alpha, steps=3, generator=generator)
    )
    trial = quadratic_sphere_errors(
        n=50, networks=40, beyond=0.02, points=1000, generator=generator
    )
    assert trial.effect > 0.3
