"""Errors exist exactly where one coefficient is out of range, however few points show them."""

import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.quadratic_spheres import (
    OUTER,
    coefficients,
    found_errors,
    sampled_errors,
)


@claim(
    says="The network sign(sum alpha_i x_i^2 - 1) has errors on spheres of radius 1 and R if and "
    "only if some alpha_i lies outside [1/R^2, 1], though random points may show none.",
    effect="share of networks in which a search for errors disagrees with that rule",
    below=1e-9,
    scales={
        "smoke": {"n": 50, "networks": 40, "beyond": 0.02, "points": 4000},
        "desk": {"n": 500, "networks": 200, "beyond": 0.02, "points": 40000},
        "full": {"n": 500, "networks": 1000, "beyond": 0.02, "points": 1000000},
    },
    seconds={"smoke": 0.05, "desk": 1.5, "full": 100.0},
    paper=Paper("Gilmer et al. 2018", "https://arxiv.org/abs/1801.02774"),
)
def quadratic_sphere_errors(
    *, n: int, networks: int, beyond: float, points: int, generator: torch.Generator
) -> Trial:
    """Coefficients drawn evenly within the range; in half of the networks one lies 2 % above it.

    On the inner sphere the form is largest along the axis of the largest coefficient: errors
    exist if that exceeds 1, on the outer one if the least is below 1 / R^2. The search climbs
    from a random point and knows neither. Parts: what random points of the spheres show.
    """
    alpha = coefficients(networks, n, beyond=beyond, generator=generator)
    rule = (alpha.amax(dim=1) > 1) | (alpha.amin(dim=1) < 1 / OUTER**2)
    found = found_errors(alpha, steps=2000, generator=generator)
    share = sampled_errors(alpha, points, generator)
    parts = {
        "networks with errors": rule.double().mean().item(),
        "of them, with an error among random points": (share[rule] > 0).double().mean().item(),
        "largest share of random points in error": share.max().item(),
    }
    figure = Scatter(
        "Errors of quadratic networks", "largest coefficient", "share of random points in error",
        alpha.amax(dim=1)[:100], share[:100],
        tuple("has errors" if has else "has none" for has in found[:100].tolist()),
    )  # fmt: skip
    return Trial((found != rule).double().mean().item(), parts, (figure,))
