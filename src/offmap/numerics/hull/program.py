"""Linear programming, for queries that the nearest-point algorithm leaves open."""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.optimize import linprog
from torch import Tensor

__all__ = ["program"]


def program(
    place: Float64[Tensor, "n k"], query: Float64[Tensor, " k"]
) -> tuple[Float64[Tensor, " k"], Int64[Tensor, " s"], Float64[Tensor, " s"]]:
    """The direction in which a query lies farthest beyond points, and the nearest point to it.

    Maximizes w.q - h over w.z_i <= h and |w_j| <= 1; the multipliers of the first constraints are
    the convex weights of the nearest point in the sum of absolute differences. HiGHS solves it to
    within a tolerance: what it says is a proposal, to be checked by whoever asks.

    Returns:
        The direction, the points of positive weight and their weights, of sum 1.

    Raises:
        ArithmeticError: If HiGHS fails.
    """
    count, columns = place.shape
    height = np.full((count, 1), -1.0)
    found = linprog(
        np.append(-query.cpu().numpy(), 1.0),
        A_ub=np.hstack((place.cpu().numpy(), height)),
        b_ub=np.zeros(count),
        bounds=[(-1.0, 1.0)] * columns + [(None, None)],
        method="highs",
    )
    if found.status != 0:
        raise ArithmeticError(f"expected HiGHS to decide a query, got: {found.message}")
    weight = torch.from_numpy(-np.asarray(found.ineqlin.marginals)).clamp_(min=0)
    row = weight.nonzero().flatten()
    direction = torch.from_numpy(np.asarray(found.x[:columns])).to(place)
    weight = (weight[row] / weight.sum()).to(place)
    return direction, row.to(place.device), weight
