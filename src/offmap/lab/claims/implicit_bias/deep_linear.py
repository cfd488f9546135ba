"""Two-layer linear networks on whitened inputs, and the law by which their modes grow."""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor


class Modes(NamedTuple):
    """A target map, left @ diag(strength) @ right.T, whose singular vectors are the modes."""

    left: Float64[Tensor, "outputs k"]
    strength: Float64[Tensor, " k"]
    right: Float64[Tensor, "inputs k"]

    @property
    def matrix(self) -> Float64[Tensor, "outputs inputs"]:
        """The map."""
        return self.left @ self.strength.diag() @ self.right.mT


class Layers(NamedTuple):
    """Weights of the network second @ first."""

    first: Float64[Tensor, "hidden inputs"]
    second: Float64[Tensor, "outputs hidden"]


def target(
    strengths: tuple[float, ...], outputs: int, inputs: int, generator: torch.Generator
) -> Modes:
    """A map of the given singular values, with singular vectors drawn uniformly."""
    left = orthonormal(outputs, len(strengths), generator)
    return Modes(
        left, torch.tensor(strengths).double(), orthonormal(inputs, len(strengths), generator)
    )


def orthonormal(rows: int, columns: int, generator: torch.Generator) -> Float64[Tensor, "rows k"]:
    """Orthonormal columns of uniformly drawn directions."""
    return torch.linalg.qr(torch.randn(rows, columns, generator=generator, dtype=torch.double)).Q


def descend(
    goal: Float64[Tensor, "outputs inputs"], start: Layers, rate: float
) -> Iterator[Layers]:
    """Weights after 0, 1, 2, ... steps of gradient descent on half the squared error.

    With whitened inputs the error is |goal - second @ first|^2, up to a constant.
    """
    layers = start
    for _ in count():
        yield layers
        first, second = layers
        error = goal - second @ first
        layers = Layers(first + rate * second.mT @ error, second + rate * error @ first.mT)


def strengths_of(modes: Modes, layers: Layers) -> Float64[Tensor, " k"]:
    """How much of each mode the network has."""
    return ((modes.left.mT @ layers.second) * (layers.first @ modes.right).mT).sum(dim=1)


def sigmoid(
    strength: Float64[Tensor, " k"], start: Float64[Tensor, " k"], time: Float64[Tensor, " t"]
) -> Float64[Tensor, "t k"]:
    r"""The law of a mode of final strength s that starts at a: :math:`s / (1 + (s/a-1) e^{-2st})`.

    It solves :math:`\dot u = 2 u (s - u)`.
    """
    return strength / (1 + (strength / start - 1) * torch.exp(-2 * strength * time[:, None]))


def half_time(
    strength: Float64[Tensor, " k"], start: Float64[Tensor, " k"]
) -> Float64[Tensor, " k"]:
    """When a mode has half of its final strength, by that law."""
    return (strength / start - 1).log() / (2 * strength)
