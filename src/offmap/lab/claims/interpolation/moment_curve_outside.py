"""Of the moment curve every point is a vertex: no number of others brings one inside."""

from itertools import product

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import shares_inside, sigmas
from offmap.lab.claims.interpolation.proved import proved_inside
from offmap.numerics.hull import membership

LINE = "control: a segment"
PLANE = 1e-13


@claim(
    says="No fresh point of the moment curve (t, t^2, ..., t^d) is inside the hull of others, "
    "however many: density along a manifold of one dimension does not bring interpolation.",
    effect="The largest share inside, proved by weights that make the point to rounding, over "
    "dimensions and numbers of points",
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
    Where neither a direction nor weights are found, `membership` calls a point inside that is
    within its tolerance: the parts count these, and those of them that the plane, computed in
    float64, does separate. The control is the segment, d = 1, where the share is 1 - 2 / (N + 1),
    whatever the law along it.
    """
    inside, missed = {}, 0.0
    for d, count in product(dimensions, counts):
        sides = [_sides(d, count, queries, generator) for _ in range(hulls)]
        proved, wrong = (sum(some) / (hulls * queries) for some in zip(*sides, strict=True))
        inside[f"{d} dimensions, {count} points: inside, proved"] = proved
        missed = max(missed, wrong)
    line = shares_inside(lambda n: _moments(n, 1, generator), 9, hulls=5 * hulls, queries=queries)
    control = {
        "called inside within the tolerance, though a plane separates": missed,
        LINE: line.mean().item(),
        f"{LINE}, by the law": 1 - 2 / 10,
        f"{LINE}, standard errors from it": sigmas(line, 1 - 2 / 10, queries),
    }
    return Trial(max(inside.values()), inside | control)


def _sides(d: int, count: int, queries: int, generator: torch.Generator) -> tuple[int, int]:
    """Queries inside with proof, and queries called inside that the plane through them separates.

    Of (t - s)^2 > 0 only 2 s t - t^2 is computed, whose terms are at most 3: the plane counts
    where its margin is a hundred times their rounding.
    """
    points, fresh = (_moments(n, d, generator) for n in (count, queries))
    found = membership(points, fresh)
    proved = proved_inside(found, points)
    normal = torch.stack((2 * fresh[:, 0], -torch.ones(queries, dtype=torch.double)), dim=1)
    margin = (normal * fresh[:, :2]).sum(dim=1) - (normal @ points[:, :2].T).amax(dim=1)
    return int(proved.sum()), int((found.inside & (margin > PLANE)).sum())


def _moments(n: int, dimension: int, generator: torch.Generator) -> Float64[Tensor, "n d"]:
    position = 2 * torch.rand(n, 1, generator=generator, dtype=torch.double) - 1
    return position ** torch.arange(1, dimension + 1)
