"""How the number of points that make an even chance of being inside grows with the dimension."""

from math import e, sqrt

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.numerics.hull import samples_needed


@claim(
    says="The number of Gaussian points whose hull holds a fresh one with an even chance grows, in "
    "the limit, by the factor e^(1/2) = 1.649 a dimension, not by 2^(1/2) = 1.414.",
    effect="Growth a dimension by the exact law, extrapolated to infinitely many dimensions, over "
    "e^(1/2)",
    above=0.99,
    below=1.01,
    scales={
        "smoke": {"dimensions": (2, 3, 5, 10, 20, 30, 50, 100)},
        "desk": {"dimensions": (2, 3, 5, 10, 20, 30, 50, 100, 200)},
        "full": {"dimensions": (2, 3, 5, 10, 20, 30, 50, 100, 200, 400, 800)},
    },
    seconds={"smoke": 0.1, "desk": 0.3, "full": 10.0},
    paper=Paper("Kabluchko & Zaporozhets 2020", "https://arxiv.org/abs/1704.04968"),
)
def gaussian_hull_growth(*, dimensions: tuple[int, ...], generator: torch.Generator) -> Trial:
    r"""The fewest points N(d) with an even chance, from the exact law; nothing is drawn.

    The growth N(d) / N(d - 1) nears its limit like a + b / d: the two largest dimensions give a.
    """
    growth = [samples_needed(d) / samples_needed(d - 1) for d in dimensions]
    (near, far), (first, last) = growth[-2:], dimensions[-2:]
    limit = (last * far - first * near) / (last - first)
    x = torch.tensor(dimensions, dtype=torch.double)
    return Trial(
        limit / sqrt(e),
        {
            "extrapolated growth": limit,
            f"growth at {dimensions[-1]} dimensions": growth[-1],
            "points for an even chance in 7 dimensions": float(samples_needed(7)),
            "points for an even chance in 30 dimensions": float(samples_needed(30)),
        },
        (
            Curve(
                "Points for an even chance of being inside", "dimensions",
                "growth a dimension", x,
                {
                    "exact law": torch.tensor(growth, dtype=torch.double),
                    "e^(1/2)": torch.full_like(x, sqrt(e)),
                    "2^(1/2)": torch.full_like(x, sqrt(2)),
                },
                log_x=True,
            ),
        ),
    )  # fmt: skip
