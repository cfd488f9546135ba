"""The share of fresh Gaussian points inside the hull of others is known in closed form."""

from math import sqrt

import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import shares_inside, sigmas
from offmap.lab.worlds import gaussian
from offmap.numerics.hull import inside_probability

SMALL = ((1, 9, 1.0), (2, 11, 1.0), (3, 27, 1.0), (3, 12, 0.25))
LARGE = (*SMALL, (5, 135, 1.0), (5, 60, 0.25), (7, 250, 1.0), (7, 555, 1.0), (10, 1000, 1.0))


@claim(
    says="The chance that a fresh Gaussian point lies in the hull of N others in d dimensions is "
    "what Kabluchko and Zaporozhets computed: 0.336 for 250 points in 7 dimensions.",
    effect="The largest distance of a measured share from the law, in standard errors, over "
    "several numbers of points, dimensions and spreads of the fresh point",
    below=4.0,
    scales={
        "smoke": {"settings": SMALL, "hulls": 6, "queries": 10},
        "desk": {"settings": LARGE, "hulls": 30, "queries": 20},
        "full": {"settings": (*LARGE, (12, 13608, 1.0)), "hulls": 200, "queries": 20},
    },
    seconds={"smoke": 0.3, "desk": 15.0, "full": 400.0},
    paper=Paper("Kabluchko & Zaporozhets 2020", "https://arxiv.org/abs/1704.04968"),
)
def gaussian_hull(
    *,
    settings: tuple[tuple[int, int, float], ...],
    hulls: int,
    queries: int,
    generator: torch.Generator,
) -> Trial:
    r"""Hulls of N points of law N(0, I), each drawn anew, and fresh points of law N(0, s I).

    The law is a sum of products of the angles of a regular simplex (`numerics.hull`); for one
    dimension and s = 1 it is 1 - 2 / (N + 1). Each side is proved
    (`numerics.hull.membership`). The settings are (d, N, s).
    """
    parts, laws, means = {}, [], []
    worst = 0.0
    for dimension, count, variance in settings:

        def draw(n: int, spread: float = 1.0, dimension: int = dimension) -> torch.Tensor:
            return spread * gaussian(n, dimension, generator=generator)

        shares = shares_inside(
            draw, count, hulls=hulls, queries=queries, fresh=lambda n, draw=draw, s=variance:
            draw(n, sqrt(s)),
        )  # fmt: skip
        laws.append(inside_probability(count, dimension, variance=variance))
        means.append(shares.mean().item())
        worst = max(worst, sigmas(shares, laws[-1], queries))
        name = f"{dimension} dimensions, {count} points, s = {variance:g}"
        parts |= {f"{name}: measured": means[-1], f"{name}: law": laws[-1]}
    return Trial(
        worst,
        parts,
        (
            Scatter(
                "Share of fresh points inside the hull", "by the law", "measured",
                torch.tensor(laws), torch.tensor(means),
            ),
        ),
    )  # fmt: skip
