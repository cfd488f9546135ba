"""The dimension of a sample by several estimators, all from one neighbor search."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.numerics.dimension import (
    Dimension,
    Neighborhoods,
    gride,
    maximum_likelihood,
    neighborhoods,
    two_nn,
)
from offmap.numerics.neighbors import search


def looked_up(points: Float[Tensor, "n ..."], *, queries: int, k: int = 20) -> Neighborhoods:
    """The first so many of the points, each with its nearest others among all of them."""
    rows = torch.arange(min(queries, len(points)))
    found = search(points[rows], points, k=k, exclude=rows)
    return neighborhoods(rows, found.distance, found.index)


def dimensions(near: Neighborhoods) -> dict[str, Dimension]:
    """By estimators of different kinds, from the finest scale to the coarsest."""
    return {
        "TwoNN": two_nn(near),
        "Gride, neighbors 4 and 8": gride(near, nearest=4),
        "maximum likelihood, 10 neighbors": maximum_likelihood(near, k=10),
        "maximum likelihood, 20 neighbors": maximum_likelihood(near, k=20),
    }
