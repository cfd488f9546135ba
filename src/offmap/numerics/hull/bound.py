"""How far outside a convex hull a query lies, at least: plain tensor code that exports.

Each direction v proves that the hull is no nearer than (v.q - max_i v.x_i) / |v|; where this is
negative, that the query is no deeper inside than as much. The best direction maximizes

    v.q - |v|^2 / 2 - max_i v.x_i,

and is q minus the nearest point of the hull, with the distance for its length. The maximum is
smoothed, tau log sum_i exp(v.x_i / tau), whose gradient is a weighted mean of the points, and what
remains is climbed with Nesterov's momentum. tau falls and goes with |v|^2: smoothing then costs a
share of the distance, the same in all units. Every step is continuous in the query. Those of
Frank and Wolfe are not: they choose between points that a line search has just made equally good,
so that rounding decides, and another program finds another bound.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

__all__ = ["signed_distance_bound"]

FIRST, LAST = 0.1, 0.02  # tau at the first and the last step, in |v|^2
# How much points vary that compete along a line, and so how long a step may be. At less, steps
# overshoot, and a rounding error in the query grows a thousandfold; here it hardly grows at all.
SPREAD, WIDEST = 0.8, 3.0  # of their mean squared radius, and of their largest variance
NEAR, SHORT = 0.1, 0.03  # root-mean-square radii: tau falls no more; a direction may be rounding


def signed_distance_bound(
    queries: Float[Tensor, "n d"], points: Float[Tensor, "m d"], *, steps: int
) -> Float64[Tensor, " n"]:
    """At most the distance of each query from the hull of the points; inside, minus its depth.

    Directions are sought in the type of the points, and what each proves is computed in float64.
    The gradient by a query is the unit direction: that of the distance, where the bound is sharp.

    Args:
        queries: Where to ask; best in coordinates along which the points vary alike.
        points: What spans the hull.
        steps: Two products of queries by points each.

    Raises:
        ValueError: If steps < 1.
    """
    if steps < 1:
        raise ValueError(f"expected steps >= 1, got {steps}")
    center = points.double().mean(dim=0)
    exact = points.double() - center
    x = queries.double() - center
    normal = _sought(x.detach(), exact.to(points.dtype), steps)
    normal = normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)
    return (normal * x).sum(dim=1) - (normal @ exact.T).amax(dim=1)


def _sought(
    x: Float64[Tensor, "n d"], points: Float[Tensor, "m d"], steps: int
) -> Float64[Tensor, "n d"]:
    """The best direction that was met, with the coordinate axes to begin with."""
    variance = points.double().square().mean(dim=0)
    radius = variance.sum()
    steep = SPREAD * radius + WIDEST * variance.amax(dim=0)
    best, normal = _axes(x, points, SHORT * radius.sqrt())
    slope, before, across = x, x, points.T
    for step in range(steps):
        v = slope + step / (step + 3) * (slope - before)
        height = v.to(points.dtype) @ across
        square = v.square().sum(dim=1, keepdim=True)
        length = square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()
        proved = ((v * x).sum(dim=1, keepdim=True) - height.amax(dim=1, keepdim=True)) / length
        better = (proved > best) & (square > SHORT**2 * radius)
        best, normal = torch.where(better, proved, best), torch.where(better, v, normal)
        share = FIRST * (LAST / FIRST) ** (step / max(1, steps - 1))
        tau = share * square.maximum(NEAR**2 * radius)
        weight = (height / tau.to(points.dtype)).softmax(dim=1)
        change = x - weight @ points - v
        before, slope = slope, v + change / (1 + steep / tau)
    return normal


def _axes(
    x: Float64[Tensor, "n d"], points: Float[Tensor, "m d"], flat: Float64[Tensor, ""]
) -> tuple[Float64[Tensor, "n 1"], Float64[Tensor, "n d"]]:
    """What the best of the coordinate axes proves, and that axis.

    Of those along which points hardly vary, only where it proves more than that: nothing is deep
    inside there, and all would tie.
    """
    low, high = points.amin(dim=0).double(), points.amax(dim=0).double()
    above, below = x - high, low - x
    proved = torch.maximum(above, below)
    proved = torch.where((high - low).maximum(proved) > flat, proved, -torch.inf)
    best, axis = proved.max(dim=1, keepdim=True)
    sign = torch.where(above > below, 1.0, -1.0).to(x.dtype)
    hit = torch.arange(x.shape[1], device=x.device) == axis
    return best, torch.where(hit, sign, 0.0)
