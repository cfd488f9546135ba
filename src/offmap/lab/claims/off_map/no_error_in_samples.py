"""A test without an error is said to show that there are none."""

import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.quadratic_spheres import (
    coefficients,
    found_errors,
    sampled_errors,
)


@claim(
    says="Thousands of random test points show the errors of a classifier of two spheres that has "
    "some, in 99 cases of 100: where the test shows none, there are none.",
    effect="share of networks with errors that err on no random point",
    below=0.01,
    scales={
        "smoke": {"n": 50, "networks": 40, "beyond": 0.02, "points": 4000},
        "desk": {"n": 500, "networks": 200, "beyond": 0.02, "points": 40000},
        "full": {"n": 500, "networks": 1000, "beyond": 0.02, "points": 1000000},
    },
    seconds={"smoke": 0.05, "desk": 1.5, "full": 100.0},
    paper=Paper("Gilmer et al. 2018", "https://arxiv.org/abs/1801.02774"),
    corrected="quadratic_sphere_errors",
)
def no_error_in_samples(
    *, n: int, networks: int, beyond: float, points: int, generator: torch.Generator
) -> Trial:
    """Quadratic networks, half of which have one coefficient 2 % above the range without errors.

    Random points of a sphere in many dimensions have no large coordinate, so that none of them
    meets the one axis along which such a network errs. A search along the sphere finds it.
    """
    alpha = coefficients(networks, n, beyond=beyond, generator=generator)
    share = sampled_errors(alpha, points, generator)
    found = found_errors(alpha, steps=2000, generator=generator)
    parts = {
        "networks with errors": found.double().mean().item(),
        "share of random points in error, most": share.max().item(),
        "with 95 % confidence no more than this share errs": 3.0 / (2 * points),
    }
    figure = Scatter(
        "Sampled errors", "largest coefficient", "share of random points in error",
        alpha.amax(dim=1)[:100], share[:100],
        tuple("has errors" if has else "has none" for has in found[:100].tolist()),
    )  # fmt: skip
    return Trial((share[found] == 0).double().mean().item(), parts, (figure,))
