"""What the cheapest ReLU network through points on the line costs, under weight decay."""

import numpy as np
import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.relu_line import grid, law, least_cost, points, spline_cost


@claim(
    says="The cheapest one-hidden-layer ReLU network through points on the line costs the larger "
    "of V and (V + |first + last slope|) / 2, with V the total variation of the slope of the "
    "straight lines between them.",
    effect="largest relative difference of a linear program from that, over random sets of points",
    below=1e-6,
    scales={
        "smoke": {"sets": 24, "most": 7, "extra": 4},
        "desk": {"sets": 300, "most": 12, "extra": 8},
        "full": {"sets": 3000, "most": 20, "extra": 20},
    },
    seconds={"smoke": 0.1, "desk": 1.5, "full": 90.0},
    paper=Paper("Savarese et al. 2019", "https://arxiv.org/abs/1902.05040"),
)
def savarese_1d(*, sets: int, most: int, extra: int, generator: torch.Generator) -> Trial:
    r"""Decay of the weights of both layers, biases free, no skip connection.

    The paper: a function costs :math:`\max(\int |f''|, |f'(-\infty) + f'(\infty)|)`. Derived here:
    an interpolant may bend its outer lines, which adds to the first what it takes off the second.
    The program chooses heights of neurons with knots at the points and at random between and
    around them. A third of the sets are monotone, where the second term is the larger one.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    costs = []
    for number in range(sets):
        x, y = points(int(rng.integers(2, most + 1)), rng)
        y = np.sort(y) if number % 3 == 0 else y
        costs.append((least_cost(x, y, grid(x, extra, rng)), law(x, y), spline_cost(x, y)))
    least, said, lines = np.array(costs).T
    shown = slice(0, 100)
    return Trial(
        effect=float(np.abs(least / said - 1).max()),
        parts={
            "share of the sets where straight lines cost more": float(
                (lines > least * 1.001).mean()
            ),
            "cost of straight lines over the smallest, at most": float((lines / least).max()),
        },
        figures=(
            Scatter(
                "Cost of the cheapest network",
                "by the formula",
                "by linear programming",
                torch.tensor(said[shown]),
                torch.tensor(least[shown]),
            ),
        ),
    )
