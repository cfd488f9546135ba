"""Halfway between two points of a circle one is off it, by an amount known exactly."""

from math import pi

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import curve
from offmap.numerics.neighbors import search


@claim(
    says="The midpoint of two points of a unit circle, an angle a apart, lies 1 - cos(a/2) off it "
    "in the plane, and 0 where points are coded by their angle.",
    effect="largest relative difference between distance to the nearest of n points and the law",
    below=1e-9,
    scales={
        "smoke": {"n": 1000, "pairs": 500},
        "desk": {"n": 4000, "pairs": 4000},
        "full": {"n": 20000, "pairs": 20000},
    },
    seconds={"smoke": 0.02, "desk": 0.2, "full": 3.0},
    paper=Paper("Berthelot et al. 2019", "https://arxiv.org/abs/1807.07543"),
)
def circle_midpoint(*, n: int, pairs: int, generator: torch.Generator) -> Trial:
    """Corners of a regular polygon, in pairs an even number of steps apart, by offmap's search.

    The corner between the two is then the nearest of all to their midpoint, and the distance is
    the law's without an error. In three dimensions and more the same holds of any great circle:
    straight lines leave a curved sheet, whatever its code.
    """
    circle = curve(torch.arange(n, dtype=torch.double) / n, 2)
    first = torch.randint(n, (pairs,), generator=generator)
    half = torch.randint(1, n // 4 + 1, (pairs,), generator=generator)
    last = (first + 2 * half) % n
    found = search((circle[first] + circle[last]) / 2, circle, k=1).distance[:, 0]
    angle = 4 * pi * half.double() / n
    law = 2 * (angle / 4).sin().square()  # 1 - cos(angle / 2), without cancellation
    coded = search(curve((first + half).double() / n, 2), circle, k=1).distance
    order = angle.argsort()[:: max(1, pairs // 50)]
    figure = Curve(
        "Off the circle at the midpoint", "angle between the ends", "distance to the circle",
        angle[order], {"plane": found[order], "law": law[order]},
    )  # fmt: skip
    parts = {
        "largest distance, midpoint of angles": coded.max().item(),
        "mean distance, midpoint in the plane": found.mean().item(),
    }
    return Trial((found / law - 1).abs().max().item(), parts, (figure,))
