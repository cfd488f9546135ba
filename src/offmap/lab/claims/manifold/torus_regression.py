"""Regression on a flat torus of known dimension, embedded in more: no boundary, no noise."""

from math import pi
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.lab.worlds import rotation


class Regression(NamedTuple):
    """Angles in 0 to 2 pi, the points that they stand for, and what is to be predicted there."""

    angles: Float[Tensor, "n d"]
    points: Float[Tensor, "n ambient"]
    targets: Float[Tensor, " n"]


class TorusRegression:
    r"""Draws examples of one torus: points of unit circles, turned at random, and targets.

    .. math:: f = \sum_i \sin(m \theta_i) / \sqrt{d}

    Args:
        dimension: Of the torus.
        ambient: Of the space that it lies in.
        frequency: m. At 1 the target is linear in the points, though not in the angles.
        generator: Source of the turn.
    """

    def __init__(
        self, dimension: int, ambient: int, *, frequency: int = 1, generator: torch.Generator
    ) -> None:
        self.dimension, self.frequency = dimension, frequency
        self.turn = rotation(ambient, generator=generator)[: 2 * dimension]

    def draw(self, n: int, *, generator: torch.Generator) -> Regression:
        """So many examples, evenly."""
        shape = (n, self.dimension)
        angles = 2 * pi * torch.rand(shape, generator=generator, dtype=torch.double)
        points = torch.cat([angles.cos(), angles.sin()], dim=1) @ self.turn
        targets = (self.frequency * angles).sin().sum(dim=1) / self.dimension**0.5
        return Regression(angles, points, targets)


def slope(sizes: tuple[int, ...], errors: list[float]) -> float:
    """Of the line of least squares through log error over log n."""
    x, y = (torch.tensor(values, dtype=torch.double).log() for values in (sizes, errors))
    x = x - x.mean()
    return ((x * y).sum() / x.square().sum()).item()
