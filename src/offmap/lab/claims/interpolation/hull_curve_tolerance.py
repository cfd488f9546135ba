"""A tolerance of 1e-5 makes the points of a curve seem inside its hull."""

import numpy as np
import torch
from jaxtyping import Float64
from scipy.interpolate import CubicSpline
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import gaussian
from offmap.numerics.hull import membership

SQUARE = 1e-5  # squared distance from the hull up to which a point is called inside


@claim(
    says="That 800 points of a curve in 7 dimensions hold the next one in their hull is an "
    "artifact: with a tolerance nearly all seem inside, with proofs hardly any is.",
    effect="Share of fresh points at a squared distance from the hull below 1e-5, minus the share "
    "that is inside, both proved",
    above=0.9,
    scales={
        "smoke": {"counts": (800,), "curves": 2, "queries": 12},
        "desk": {"counts": (50, 200, 800, 3200), "curves": 20, "queries": 12},
        "full": {"counts": (50, 200, 800, 3200, 12800), "curves": 100, "queries": 20},
    },
    seconds={"smoke": 0.3, "desk": 12.0, "full": 200.0},
    paper=Paper("Ruis 2021", "https://lauraruis.github.io/2021/11/06/extra.html"),
)
def hull_curve_tolerance(
    *, counts: tuple[int, ...], curves: int, queries: int, generator: torch.Generator
) -> Trial:
    """Cubic splines through 9 Gaussian knots in 7 dimensions; points uniform along each.

    As many points as there are make the curve dense, and the distance from their hull small,
    everywhere. But where a point of the curve is a vertex of the hull of the whole curve, no number
    of others brings it inside. The effect is read at 800 points. The control has 40 knots in 3
    dimensions: such a curve winds about its middle, and most of its points come to lie inside.
    """
    rows = [shares(7, 9, n, curves, queries, generator=generator) for n in counts]
    inside, near = zip(*rows, strict=True)
    at = counts.index(800)
    winding = shares(3, 40, 800, curves, queries, generator=generator)[0]
    return Trial(
        near[at] - inside[at],
        {
            "inside, proved": inside[at],
            "squared distance below 1e-5": near[at],
            "control: inside, 40 knots in 3 dimensions": winding,
        },
        (
            Curve(
                "Fresh points of a curve in 7 dimensions", "points of the curve", "share",
                torch.tensor(counts, dtype=torch.double),
                {"inside, proved": torch.tensor(inside),
                 "squared distance below 1e-5": torch.tensor(near)},
                log_x=True,
            ),
        ),
    )  # fmt: skip


def shares(
    dimension: int, knots: int, count: int, curves: int, queries: int, *, generator: torch.Generator
) -> tuple[float, float]:
    """Of fresh points of several curves: the share inside, and the share that is near."""
    inside, near = [], []
    for _ in range(curves):
        points = spline(gaussian(knots, dimension, generator=generator), count + queries, generator)
        found = membership(points[:count], points[count:], gap=0.1)
        inside.append(found.inside)
        near.append(found.inside | (found.distance_high.square() < SQUARE))
    return torch.cat(inside).double().mean().item(), torch.cat(near).double().mean().item()


def spline(
    knots: Float64[Tensor, "k d"], count: int, generator: torch.Generator
) -> Float64[Tensor, "n d"]:
    """Points, uniform in the parameter, of the cubic spline through these knots."""
    curve = CubicSpline(np.linspace(0, 1, len(knots)), knots.numpy())
    positions = torch.rand(count, generator=generator, dtype=torch.double)
    return torch.from_numpy(curve(positions.numpy()))
