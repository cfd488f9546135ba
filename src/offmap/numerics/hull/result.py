"""What is known of a query's place: its side of the hull, and the certificate of that side."""

from dataclasses import dataclass

from jaxtyping import Bool, Float64, Int64
from torch import Tensor

__all__ = ["Membership"]


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """The side of each query, with the proof of it, for the numbers as they were given.

    A query is *outside* if and only if `margin` > 0: a lower bound, from which all rounding of its
    computation is subtracted, on normal.q - max_i normal.x_i. Otherwise it is *inside*: `weights`,
    non-negative and of sum 1, of the points `rows` make a point at the distance `residual` from
    it, which within the points' span is no more than float64 rounding explains, and with what lies
    off the span no more than `tolerance` times the root-mean-square radius of the points. (Should
    rounding leave neither a direction nor weights to be found, so near to the hull, the tolerance
    decides within the span as well.) Outside comes first: a proof needs no tolerance.

    `boundary` is false where a ball about the query, of that radius and in the span, is proved to
    lie on the query's side. Where it is true not much should be read into the side: rounding of
    the data itself may have decided it. Inside, it is cautious: it may be true of a query that is
    some hundred times deeper.
    """

    inside: Bool[Tensor, " m"]
    boundary: Bool[Tensor, " m"]  # not proved to be farther than the tolerance from the boundary
    distance_low: Float64[Tensor, " m"]  # bounds on the Euclidean distance to the hull
    distance_high: Float64[Tensor, " m"]
    normal: Float64[Tensor, "m d"]  # unit; zeros for a query inside
    margin: Float64[Tensor, " m"]  # 0 for a query inside
    weights: Float64[Tensor, "m s"]  # of the nearest point of the hull that was found; padded by 0
    rows: Int64[Tensor, "m s"]  # the points that they weigh; padded by -1
    residual: Float64[Tensor, " m"]  # |sum_i weights_i (x_i - q)|
    rank: int  # affine dimension of the points, up to half of the tolerance
    screened: float  # share of the queries decided in the leading principal components alone
