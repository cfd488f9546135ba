"""Laws of points that differ in their tails, in the same number of dimensions."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.lab.worlds import ball, gaussian, sphere

DEGREES = 3  # of freedom of Student's law: its variance is finite, its fourth moment is not


def cube(n: int, dimension: int, *, generator: torch.Generator) -> Float64[Tensor, "n d"]:
    """Uniform in the cube from -1 to 1."""
    return 2 * torch.rand(n, dimension, generator=generator, dtype=torch.double) - 1


def corners(n: int, dimension: int, *, generator: torch.Generator) -> Float64[Tensor, "n d"]:
    """Uniform among the corners of the cube: binary data."""
    return torch.randint(2, (n, dimension), generator=generator).double() * 2 - 1


def student(n: int, dimension: int, *, generator: torch.Generator) -> Float64[Tensor, "n d"]:
    """Multivariate Student's t: a Gaussian over the root of an independent chi-square."""
    square = gaussian(n, DEGREES, generator=generator).square().mean(dim=1, keepdim=True)
    return gaussian(n, dimension, generator=generator) / square.sqrt()


LIGHT_TO_HEAVY: Mapping[str, Callable[..., Float64[Tensor, "n d"]]] = {
    "sphere": sphere, "ball": ball, "cube": cube, "Gaussian": gaussian, "Student's t": student,
}  # fmt: skip
