"""What is known of a query's place: its side of the hull, and the certificate of that side."""

from dataclasses import dataclass

from jaxtyping import Bool, Float64, Int64
from torch import Tensor

__all__ = ["Membership"]


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """The side of each query, with the proof of it.

    A query is *outside* if `margin` > 0: a lower bound, with every rounding error of its
    computation subtracted, on normal.q - max_i normal.x_i, for the numbers as they were given.
    Otherwise it is *inside*: `weights`, non-negative and of sum 1, of the points `rows` give a
    point at a distance of at most `residual` from it, no more than float64 rounding explains or
    than `tolerance` times the root-mean-square radius of the points. Of two that could be said,
    outside comes first: a proof needs no tolerance.
    """

    inside: Bool[Tensor, " m"]
    boundary: Bool[Tensor, " m"]  # not proved farther than the tolerance from the hull's boundary
    distance_low: Float64[Tensor, " m"]  # bounds on the Euclidean distance to the hull
    distance_high: Float64[Tensor, " m"]
    normal: Float64[Tensor, "m d"]  # unit; zeros for a query inside
    margin: Float64[Tensor, " m"]  # 0 for a query inside
    weights: Float64[Tensor, "m s"]  # of the nearest point of the hull that was found; padded by 0
    rows: Int64[Tensor, "m s"]  # the points that they weigh; padded by -1
    residual: Float64[Tensor, " m"]  # |q - weights.points[rows]|
    rank: int  # of the points about their mean: the dimension in which was decided
    screened: float  # share of the queries decided in the leading principal components alone
