"""Distances of Gaussian points follow a known law, and in many dimensions all are alike."""

from math import sqrt

import torch
from jaxtyping import Float64
from scipy.special import gammaln
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import gaussian
from offmap.numerics.concentration import gaussian_nearness


@claim(
    says="Two Gaussian points in d dimensions are 2 Gamma((d + 1) / 2) / Gamma(d / 2) apart on "
    "average, about (2 d)^(1/2), and the distance varies by no more than 1, however large d is.",
    effect="The largest distance from the law, in standard errors: of mean and mean square "
    "distance, and of how often the nearest is nearer than its median by the exact law",
    below=4.0,
    scales={
        "smoke": {"dimensions": (2, 10, 100), "pairs": 2000, "clouds": 60, "points": 100},
        "desk": {"dimensions": (2, 10, 100, 784), "pairs": 50_000, "clouds": 400, "points": 1000},
        "full": {"dimensions": (2, 10, 100, 784), "pairs": 500_000, "clouds": 4000, "points": 1000},
    },
    seconds={"smoke": 0.1, "desk": 8.0, "full": 80.0},
    paper=Paper("Beyer et al. 1999", "https://doi.org/10.1007/3-540-49257-7_15"),
)
def distance_law(
    *,
    dimensions: tuple[int, ...],
    pairs: int,
    clouds: int,
    points: int,
    generator: torch.Generator,
) -> Trial:
    r"""Independent pairs; and points each with a cloud of its own, whose nearest is looked for.

    The distance over the root of 2 is chi with d degrees of freedom: its mean square is 2 d. The
    nearest of n over the typical distance, (d + |x|^2)^(1/2), has a median from the noncentral
    chi-square law (`numerics.concentration`), below which half of them fall. So distances grow only
    if coordinates are not scaled; what falls is their contrast.
    """
    sigmas, parts, contrast = [], {}, []
    for d in dimensions:
        first, second = (gaussian(pairs, d, generator=generator) for _ in range(2))
        apart = (first - second).norm(dim=1)
        sigmas += [_sigmas(apart, mean_distance(d)), _sigmas(apart.square(), 2.0 * d)]
        median = gaussian_nearness(d, points)
        below = (_nearness(d, points, clouds, generator) < median).double()
        sigmas.append(abs(below.mean().item() - 0.5) * 2 * sqrt(clouds))
        contrast.append(median)
        parts |= {
            f"{d} dimensions: mean distance": apart.mean().item(),
            f"{d} dimensions: by the law": mean_distance(d),
            f"{d} dimensions: standard deviation": apart.std().item(),
            f"{d} dimensions: nearest over typical, law": median,
        }
    return Trial(
        max(sigmas),
        parts,
        (
            Curve(
                f"The nearest of {points} Gaussian points", "dimensions",
                "nearest distance over typical distance",
                torch.tensor(dimensions, dtype=torch.double), {"": torch.tensor(contrast)},
                log_x=True,
            ),
        ),
    )  # fmt: skip


def mean_distance(dimension: int) -> float:
    """Of two points of law N(0, I): root 2 times the mean of chi."""
    half = dimension / 2
    return 2 * float(torch.tensor(gammaln(half + 0.5) - gammaln(half)).exp())


def _sigmas(rows: Float64[Tensor, " n"], law: float) -> float:
    return abs(rows.mean().item() - law) * sqrt(len(rows)) / rows.std().item()


def _nearness(
    d: int, points: int, clouds: int, generator: torch.Generator
) -> Float64[Tensor, " clouds"]:
    """Nearest distance over typical distance, of as many points with clouds of their own."""
    rows = []
    for x in gaussian(clouds, d, generator=generator):
        nearest = (gaussian(points, d, generator=generator) - x).norm(dim=1).min()
        rows.append(nearest / (d + x.square().sum()).sqrt())
    return torch.stack(rows)
