"""How many points it takes to have one near every point of a set."""

import math

from jaxtyping import Float
from torch import Tensor

__all__ = ["box_covering", "log10_manifold_covering"]


def box_covering(widths: Float[Tensor, " d"], radius: float) -> float:
    """log10 of the points that have one nearer than a radius, in the largest coordinate, anywhere.

    Exact: a side of width w takes floor(w / 2 r) + 1 intervals that are open and 2 r long; and as
    many points on it, 2 r apart, need one each, so that their grid needs the product.

    Args:
        widths: Side lengths of the box; 0 takes one point.
        radius: Positive.

    Raises:
        ValueError: If the radius is not positive.
    """
    if not radius > 0:
        raise ValueError(f"expected radius > 0, got {radius}")
    cells = (widths.double() / (2 * radius) * (1 + 1e-12)).floor() + 1  # 2.9999999999999 is 3
    return cells.log10().sum().item()


def log10_manifold_covering(n: int, shrink: float, dimension: float) -> float:
    """log10 of the examples that bring the distances of `n` examples down by a factor.

    Distances to the nearest of N examples of one law on a manifold go like N^(-1/d).

    Args:
        n: Examples at hand.
        shrink: Distance with them, over the distance wanted.
        dimension: Of the manifold.

    Raises:
        ValueError: If one of them is not positive.
    """
    if not (n > 0 and shrink > 0 and dimension > 0):
        raise ValueError(f"expected positive numbers, got {n}, {shrink} and {dimension}")
    return math.log10(n) + dimension * math.log10(shrink)
