"""A theorem on vertices, as it is often printed: as one on a fresh point."""

from math import ceil

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import shares_inside
from offmap.lab.worlds import gaussian
from offmap.numerics.hull import inside_probability

BEYOND = 2.0  # times the threshold


@claim(
    says="In many dimensions a fresh Gaussian point lies in the hull of N others almost surely "
    "once N exceeds 2^(d/2) / d.",
    effect="Share of fresh points inside the hull of twice that many, in the largest dimension",
    above=0.5,
    scales={
        "smoke": {"dimensions": (20, 30), "hulls": 2, "queries": 100},
        "desk": {"dimensions": (20, 24, 30, 36, 40), "hulls": 4, "queries": 200},
        "full": {"dimensions": (20, 24, 30, 36, 40, 44), "hulls": 10, "queries": 500},
    },
    seconds={"smoke": 0.1, "desk": 3.0, "full": 60.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    corrected="gaussian_hull_growth",
)
def barany_furedi_fresh_point(
    *, dimensions: tuple[int, ...], hulls: int, queries: int, generator: torch.Generator
) -> Trial:
    """Gaussian hulls of twice the threshold, drawn anew, and fresh points asked about.

    What Barany and Furedi (1988) bound by 2^(d/2) is the number of points of a ball that are all
    vertices of their hull (`barany_furedi_vertices`). One fresh Gaussian point is another matter:
    an even chance takes about e^(d/2) points, and at the printed threshold the chance vanishes.
    The parts give it by the exact law, without drawing.
    """
    parts, shares, laws = {}, [], []
    for dimension in dimensions:
        count = ceil(BEYOND * 2 ** (dimension / 2) / dimension)

        def draw(n: int, dimension: int = dimension) -> torch.Tensor:
            return gaussian(n, dimension, generator=generator)

        found = shares_inside(draw, count, hulls=hulls, queries=queries)
        shares.append(found.mean().item())
        laws.append(inside_probability(count, dimension))
        parts |= {
            f"{dimension} dimensions, {count} points: measured": shares[-1],
            f"{dimension} dimensions, {count} points: law": laws[-1],
        }
    return Trial(
        shares[-1],
        parts,
        (
            Curve(
                "Fresh points inside the hull at twice the printed threshold", "dimensions",
                "share inside", torch.tensor(dimensions, dtype=torch.double),
                {"measured": torch.tensor(shares), "exact law": torch.tensor(laws)},
            ),
        ),
    )  # fmt: skip
