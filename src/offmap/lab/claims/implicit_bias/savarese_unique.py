"""Where the cheapest network is the only one."""

import numpy as np
import torch
from jaxtyping import Float

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.relu_line import (
    alternating,
    extremes,
    grid,
    law,
    points,
    spline_cost,
)


@claim(
    says="If the slopes between points on the line change in alternating directions (and straight "
    "lines are a cheapest ReLU network), weight decay has one solution: the straight lines.",
    effect="largest range of the values that cheapest networks take midway between points, "
    "relative to the range of the data, over random sets of such points",
    below=1e-6,
    scales={
        "smoke": {"n": 5, "sets": 3, "extra": 3},
        "desk": {"n": 7, "sets": 20, "extra": 6},
        "full": {"n": 10, "sets": 200, "extra": 20},
    },
    seconds={"smoke": 0.1, "desk": 4.0, "full": 120.0},
    paper=Paper("Hanin 2021", "https://arxiv.org/abs/2109.12960"),
)
def savarese_unique(*, n: int, sets: int, extra: int, generator: torch.Generator) -> Trial:
    """Smallest and largest value midway between neighbors, over all networks of least cost.

    A linear program each, with the cost held at its least (to 1e-9, which is the tolerance left in
    the range). For comparison, sets with two turns to the same side, where anything convex between
    them is as cheap.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    alike, other = (
        np.array([spread(*draw(n, turns, rng), extra, rng) for _ in range(sets)])
        for turns in (True, False)
    )
    return Trial(
        effect=float(alike.max()),
        parts={"two turns to the same side: least range": float(other.min())},
        figures=(picture(draw(n, False, rng), extra, rng),),
    )


Set = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]


def draw(n: int, turns: bool, rng: np.random.Generator) -> Set:
    """Points through which straight lines are cheapest, and do (or do not) turn in alternation."""
    while True:
        x, y = points(n, rng)
        if alternating(x, y) == turns and law(x, y) == spline_cost(x, y):
            return x, y


def spread(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], extra: int, rng: np.random.Generator
) -> float:
    """Largest range of the values of cheapest networks midway between points, relative."""
    low, high = extremes(x, y, grid(x, extra, rng), (x[1:] + x[:-1]) / 2)
    return float((high - low).max() / np.ptp(y))


def picture(both: Set, extra: int, rng: np.random.Generator) -> Curve:
    """The band of cheapest networks."""
    x, y = both
    at = np.linspace(x[0], x[-1], 17)
    low, high = extremes(x, y, grid(x, extra, rng), at)
    lines = torch.tensor(np.interp(at, x, y))
    return Curve(
        "Two turns to the same side: many networks are cheapest",
        "input",
        "output",
        torch.tensor(at),
        {"straight lines, in the band of cheapest networks": lines},
        {"straight lines, in the band of cheapest networks": torch.tensor(low)},
        {"straight lines, in the band of cheapest networks": torch.tensor(high)},
    )
