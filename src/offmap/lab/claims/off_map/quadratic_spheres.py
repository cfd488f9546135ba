"""A quadratic network on two spheres: which have errors is known, whatever samples say."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from offmap.lab.worlds import sphere

INNER, OUTER = 1.0, 1.3  # radii of the two classes


def coefficients(
    networks: int, n: int, *, beyond: float, generator: torch.Generator
) -> Float[Tensor, "networks n"]:
    """Networks sign(sum alpha_i x_i^2 - 1) with alpha within [1 / R^2, 1], but one of them.

    Every second network has a coefficient that is `beyond` above 1; the others have none.
    """
    low = 1 / OUTER**2
    draws = torch.rand(networks, n, generator=generator, dtype=torch.double)
    alpha = low + (1 - low) * draws
    alpha[::2, 0] = 1 + beyond
    return alpha


def sampled_errors(
    alpha: Float[Tensor, "networks n"], points: int, generator: torch.Generator
) -> Float[Tensor, " networks"]:
    """Share of random points, half on each sphere, that each network gets wrong."""
    squares = sphere(points, alpha.shape[1], generator=generator).square()
    value = squares @ alpha.T
    inner, outer = INNER**2 * value > 1, OUTER**2 * value < 1
    return (inner.double().mean(dim=0) + outer.double().mean(dim=0)) / 2


def found_errors(
    alpha: Float[Tensor, "networks n"], *, steps: int, generator: torch.Generator
) -> Bool[Tensor, " networks"]:
    """Whether ascent along the inner sphere, or descent along the outer, finds an error.

    From a random point; each step multiplies by a positive matrix with the eigenvectors of the
    form (power iteration), so that it ends at the worst point, where it then is evaluated.
    """
    worst = []
    for matrix in (alpha, 2 - alpha):  # the least of alpha is the largest of 2 - alpha
        x = sphere(len(alpha), alpha.shape[1], generator=generator)
        for _ in range(steps):
            x = matrix * x
            x = x / x.norm(dim=1, keepdim=True)
        worst.append((alpha * x.square()).sum(dim=1))
    return (INNER**2 * worst[0] > 1) | (OUTER**2 * worst[1] < 1)
