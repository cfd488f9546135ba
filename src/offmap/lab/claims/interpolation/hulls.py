"""Shares inside hulls, over many hulls: what several claims measure."""

from collections.abc import Callable
from math import sqrt

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from offmap.numerics.hull import membership

Law = Callable[[int], Float64[Tensor, "n d"]]  # so many fresh points


def shares_inside(
    law: Law, count: int, *, hulls: int, queries: int, fresh: Law | None = None
) -> Float64[Tensor, " hulls"]:
    """Share of fresh points inside, for each of several hulls of `count` points.

    A hull drawn once and asked often would tell the volume of that hull, not the law.

    Args:
        law: Draws the points of a hull.
        count: How many.
        hulls: How many hulls are drawn.
        queries: How many fresh points each is asked about.
        fresh: Draws these; as the points where None.
    """
    shares = [
        membership(law(count), (fresh or law)(queries)).inside.double().mean() for _ in range(hulls)
    ]
    return torch.stack(shares)


def sigmas(shares: Float64[Tensor, " hulls"], law: float, queries: int) -> float:
    """How many standard errors the mean share is from the law.

    The error is that of independent hulls, and at least that of as many independent queries: a
    handful of equal shares does not make it zero.
    """
    least = sqrt(law * (1 - law) / (len(shares) * queries))
    error = max(shares.std().item() / sqrt(len(shares)), least)
    return abs(shares.mean().item() - law) / error


def proved_vertices(points: Float[Tensor, "n d"], *, rounds: int = 100) -> Bool[Tensor, " n"]:
    """Which of the points are proved to be vertices of their hull: each leads in some direction.

    The perceptron, for all points at once: it starts with the direction from the mean, adds the
    way from the point that is farther that way, and ends with every vertex, given rounds enough.
    """
    centered = points.double() - points.double().mean(dim=0)
    extent = centered.norm(dim=1).max()
    direction, open_ = centered.clone(), torch.arange(len(centered))
    for _ in range(rounds):
        heights = direction[open_] @ centered.T
        rows = torch.arange(len(open_))
        own = heights[rows, open_].clone()
        heights[rows, open_] = -torch.inf
        other, rival = heights.max(dim=1)
        noise = 1e-12 * extent * direction[open_].norm(dim=1)  # above all rounding of the products
        behind = own <= other + noise
        open_, rival = open_[behind], rival[behind]
        if not len(open_):
            break
        direction[open_] += centered[open_] - centered[rival]
    proved = torch.ones(len(centered), dtype=torch.bool)
    proved[open_] = False
    return proved


def all_vertices(points: Float[Tensor, "n d"]) -> bool:
    """Whether every point is a vertex of the hull: what is not proved so is asked for in the rest.

    The innermost come first, for they are the likeliest to lie inside.
    """
    inner = (points - points.mean(dim=0)).norm(dim=1).argsort()
    ordered = points[inner]
    for row in (~proved_vertices(ordered)).nonzero().flatten().tolist():
        rest = torch.cat((ordered[:row], ordered[row + 1 :]))
        if membership(rest, ordered[row : row + 1]).inside.item():
            return False
    return True
