"""Of the moment curve every point is a vertex: no number of others brings one inside."""

from itertools import product

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import shares_inside, sigmas

LINE = "control: a segment"


@claim(
    says="No fresh point of the moment curve (t, t^2, ..., t^d) is inside the hull of others, "
    "however many: density along a manifold of one dimension does not bring interpolation.",
    effect="The largest share inside, over dimensions and numbers of points",
    below=1e-9,
    scales={
        "smoke": {"dimensions": (2, 4), "counts": (300, 3000), "hulls": 1, "queries": 20},
        "desk": {"dimensions": (2, 3, 4, 6), "counts": (300, 30_000), "hulls": 5, "queries": 50},
        "full": {"dimensions": (2, 3, 4, 6), "counts": (300, 300_000), "hulls": 20, "queries": 50},
    },
    seconds={"smoke": 0.3, "desk": 5.0, "full": 100.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
)
def moment_curve_outside(
    *,
    dimensions: tuple[int, ...],
    counts: tuple[int, ...],
    hulls: int,
    queries: int,
    generator: torch.Generator,
) -> Trial:
    r"""Points at t uniform on [-1, 1]; the plane (t - s)^2 = 0 separates s from all others.

    Its margin is the square of the gap between s and the nearest t, often below 1e-11 among 30,000.
    The control is the segment, d = 1, where the share is 1 - 2 / (N + 1), whatever the law along
    it.
    """
    inside = {
        f"{d} dimensions, {count} points": shares_inside(
            lambda n, d=d: _moments(n, d, generator), count, hulls=hulls, queries=queries
        ).mean().item()
        for d, count in product(dimensions, counts)
    }  # fmt: skip
    line = shares_inside(lambda n: _moments(n, 1, generator), 9, hulls=5 * hulls, queries=queries)
    control = {
        LINE: line.mean().item(),
        f"{LINE}, by the law": 1 - 2 / 10,
        f"{LINE}, standard errors from it": sigmas(line, 1 - 2 / 10, queries),
    }
    return Trial(max(inside.values()), inside | control)


def _moments(n: int, dimension: int, generator: torch.Generator) -> Float64[Tensor, "n d"]:
    position = 2 * torch.rand(n, 1, generator=generator, dtype=torch.double) - 1
    return position ** torch.arange(1, dimension + 1)
