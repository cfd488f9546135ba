"""Linear programming, for queries that the nearest-point algorithm leaves open."""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.optimize import linprog
from torch import Tensor

__all__ = ["program"]

LEAST = 1e-10  # the smallest tolerance that HiGHS takes


def program(
    place: Float64[Tensor, "n k"], query: Float64[Tensor, " k"]
) -> tuple[Float64[Tensor, " k"], Int64[Tensor, " s"], Float64[Tensor, " s"]]:
    """The direction in which a query lies farthest beyond points, and the nearest point to it.

    Maximizes w.q - h over w.z_i <= h and |w_j| <= 1; the multipliers of the first constraints are
    the convex weights of the nearest point in the sum of absolute differences. Points are taken
    about the query, and each constraint in units of its point's distance, so that those next to
    the query count to their last digits. HiGHS solves it to within a tolerance: what it says is a
    proposal, to be checked by whoever asks.

    Returns:
        The direction, the points of positive weight and their weights, of sum 1.

    Raises:
        ArithmeticError: If HiGHS fails.
    """
    count, columns = place.shape
    away = (place - query).cpu().numpy()
    length = np.linalg.norm(away, axis=1, keepdims=True)
    length[length == 0] = 1.0
    found = linprog(
        np.append(np.zeros(columns), 1.0),
        A_ub=np.hstack((away, np.full((count, 1), -1.0))) / length,
        b_ub=np.zeros(count),
        bounds=[(-1.0, 1.0)] * columns + [(None, None)],
        method="highs",
        options=dict.fromkeys(
            ("primal_feasibility_tolerance", "dual_feasibility_tolerance"), LEAST
        ),
    )
    if found.status != 0:
        raise ArithmeticError(f"expected HiGHS to decide a query, got: {found.message}")
    weight = torch.from_numpy(-np.asarray(found.ineqlin.marginals) / length[:, 0]).clamp_(min=0)
    row = weight.nonzero().flatten()
    direction = torch.from_numpy(np.asarray(found.x[:columns])).to(place)
    weight = (weight[row] / weight.sum()).to(place)
    return direction, row.to(place.device), weight
