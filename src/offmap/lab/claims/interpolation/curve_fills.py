"""Does the number of dimensions stop to matter where data is a curve?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hull_curve_tolerance import shares


@claim(
    says="Only the dimension of the manifold counts: with 800 points of a curve most fresh ones "
    "are inside their hull, in 7 dimensions as well.",
    effect="Share of fresh points that are inside the hull of 800 of their curve, proved",
    above=0.5,
    scales={
        "smoke": {"curves": 3, "queries": 12, "dimensions": (7,)},
        "desk": {"curves": 20, "queries": 12, "dimensions": (2, 3, 5, 7)},
        "full": {"curves": 100, "queries": 20, "dimensions": (2, 3, 5, 7, 10)},
    },
    seconds={"smoke": 0.2, "desk": 8.0, "full": 80.0},
    paper=Paper("Ruis 2021", "https://lauraruis.github.io/2021/11/06/extra.html"),
    corrected="hull_curve_tolerance",
)
def curve_fills(
    *, curves: int, queries: int, dimensions: tuple[int, ...], generator: torch.Generator
) -> Trial:
    """Cubic splines through d + 2 Gaussian knots in d dimensions, as in `hull_curve_tolerance`."""
    inside = {d: shares(d, d + 2, 800, curves, queries, generator=generator)[0] for d in dimensions}
    return Trial(inside[7], {f"inside in {d} dimensions": share for d, share in inside.items()})
