"""Which points are inside with proof: their weights make them, to rounding."""

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from offmap.numerics.hull import Membership

ROUNDING = 1e-14  # of the largest length of a point


def proved_inside(found: Membership, points: Float64[Tensor, "n d"]) -> Bool[Tensor, " m"]:
    """Inside, and not by the tolerance alone.

    Next to a curve the hull is so near that neither a direction nor weights may be found for a
    side; `membership` then says inside (and `boundary`) of what is within its tolerance.
    """
    extent = (points - points.mean(dim=0)).norm(dim=1).max()
    return found.inside & (found.residual <= ROUNDING * torch.clamp(extent, min=1e-300))
