"""The popular form: straight lines between the points are always a cheapest network."""

import numpy as np
import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.relu_line import (
    alternating,
    grid,
    least_cost,
    points,
    slopes,
    spline_cost,
)


@claim(
    says="Whatever the points on the line, the straight lines between them, the outer ones going "
    "on, are a cheapest ReLU network under weight decay.",
    effect="largest excess of their cost over that of the cheapest network, over random sets of "
    "points",
    below=1e-6,
    scales={
        "smoke": {"sets": 24, "most": 7, "extra": 4},
        "desk": {"sets": 300, "most": 12, "extra": 8},
        "full": {"sets": 3000, "most": 20, "extra": 20},
    },
    seconds={"smoke": 0.1, "desk": 1.5, "full": 90.0},
    paper=Paper("Savarese et al. 2019", "https://arxiv.org/abs/1902.05040"),
    corrected="savarese_1d",
)
def weight_decay_connects_dots(
    *, sets: int, most: int, extra: int, generator: torch.Generator
) -> Trial:
    """Normal values at two to several places; the cheapest network is a linear program's.

    Where the slopes change in turn, to the left and to the right, the statement is true if
    there are enough turns; where the lines mostly go one way, it is not: one ReLU
    through two points costs half of the line. With a skip connection that is not decayed (Hanin
    2021) it is always true.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    excess, steepness, turning = [], [], []
    for _ in range(sets):
        x, y = points(int(rng.integers(2, most + 1)), rng)
        s = slopes(x, y)
        excess.append(spline_cost(x, y) / least_cost(x, y, grid(x, extra, rng)) - 1)
        steepness.append(abs(s[0] + s[-1]) / (abs(s[0] + s[-1]) + np.abs(np.diff(s)).sum()))
        turning.append("alternating" if alternating(x, y) else "not alternating")
    return Trial(
        effect=float(max(excess)),
        parts={"share of the sets with an excess": float(np.mean(np.array(excess) > 1e-6))},
        figures=(
            Scatter(
                "Straight lines against the cheapest network",
                "|first + last slope| over its sum with the variation of the slope",
                "excess of the cost of straight lines",
                torch.tensor(steepness[:100], dtype=torch.double),
                torch.tensor(excess[:100], dtype=torch.double),
                tuple(turning[:100]),
            ),
        ),
    )
