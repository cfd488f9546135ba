"""Linear classifiers of weighted examples that can be separated, and where training takes them."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from offmap.numerics.hull import membership

HEAVY, WEIGHT = 5, 50.0  # so many examples count so many times


def separable(n: int, dimension: int, generator: torch.Generator) -> Float64[Tensor, "n d"]:
    """Gaussian inputs times random labels +-1; a plane through zero separates n <= d of them."""
    points = torch.randn(n, dimension, generator=generator, dtype=torch.double)
    return points * (2 * torch.randint(2, (n, 1), generator=generator) - 1)


def weightings(n: int, generator: torch.Generator) -> Float64[Tensor, "3 n"]:
    """Equal weights, five examples that count fifty times, and weights spread over a thousand."""
    heavy = torch.ones(n, dtype=torch.double)
    heavy[:HEAVY] = WEIGHT
    spread = 1000 ** torch.rand(n, generator=generator, dtype=torch.double)
    return torch.stack([torch.ones_like(heavy), heavy, spread])


def max_margin(signed: Float64[Tensor, "n d"]) -> Float64[Tensor, " d"]:
    """Unit normal of the plane through zero that is farthest from the signed examples.

    It points to the nearest point of their convex hull.

    Raises:
        ValueError: If no plane through zero separates them.
    """
    found = membership(signed, torch.zeros_like(signed[:1]), gap=1e-10)
    if bool(found.inside):
        raise ValueError("expected examples that a plane through zero separates, got others")
    return -found.normal[0]


def descend(
    signed: Float64[Tensor, "n d"], weights: Float64[Tensor, "k n"], times: Int64[Tensor, " t"]
) -> Float64[Tensor, "t k d"]:
    r"""Classifiers on the way of gradient descent on the weighted exponential loss, from zero.

    The step is divided by the loss, for else it shrinks with it: descent on the logarithm,
    :math:`\log \sum_i c_i e^{-w \cdot z_i}`, which goes the same way faster.

    Args:
        signed: Inputs times labels.
        weights: One row for each classifier.
        times: Steps at which to look, rising.
    """
    rate = 10 / torch.linalg.matrix_norm(signed, 2) ** 2
    wanted, found = set(times.tolist()), []
    classifier = signed.new_zeros(len(weights), signed.shape[1])
    for step in range(1, int(times[-1]) + 1):
        pull = torch.softmax(weights.log() - classifier @ signed.mT, dim=1)
        classifier = classifier + rate * pull @ signed
        if step in wanted:
            found.append(classifier)
    return torch.stack(found)


def angle(first: Float64[Tensor, "... d"], second: Float64[Tensor, "... d"]) -> Tensor:
    """Angle between vectors, in degrees; accurate also where it is tiny."""
    first = first / first.norm(dim=-1, keepdim=True)
    second = second / second.norm(dim=-1, keepdim=True)
    return 2 * torch.atan2((first - second).norm(dim=-1), (first + second).norm(dim=-1)).rad2deg()
