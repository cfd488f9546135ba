"""All squared distances between two sets of points, by matrix products in float64."""

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

__all__ = ["squared_distances"]

BLOCK_BYTES = 32 * 2**20  # of float64 columns held at once


def squared_distances(
    rows: Shaped[Tensor, "m d"], others: Shaped[Tensor, "n d"]
) -> Float64[Tensor, "m n"]:
    """Squared Euclidean distances of each row to each of the others, never negative.

    Columns are centered and multiplied a block at a time. An error is about 1e-16 of the squared
    size of the cloud, not of the distance: use `neighbors.search` to rank what is all but equal.
    """
    total = torch.zeros(len(rows), len(others), dtype=torch.double, device=rows.device)
    step = max(1, BLOCK_BYTES // (8 * max(1, len(rows) + len(others))))
    for one, other in zip(rows.split(step, dim=1), others.split(step, dim=1), strict=True):
        far = other.detach().to(rows.device).double()
        center = far.mean(dim=0)
        here, far = one.detach().double() - center, far - center
        total.addmm_(here, far.T, alpha=-2)
        total += here.square().sum(dim=1)[:, None] + far.square().sum(dim=1)
    return total.clamp_(min=0)
