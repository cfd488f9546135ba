"""The steps of a network that bounds are known for: affine maps, sums, activations, maxima.

An affine step holds its weight and how it is used, so that the same map can be run with the sizes
of the weights (for intervals) or their squares (for the norms of its rows). Weights are float64.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from offmap.numerics.lipschitz.norms import CONVOLUTIONS, SLACK, convolution_bound, matrix_bound

__all__ = ["Affine", "Average", "Convolution", "Linear", "Maximum", "Reshape", "Scale", "Sum"]

Shape = tuple[int, ...]


class Affine(ABC):
    """A linear map and a shift. `weight` and `bias` are float64."""

    weight: Tensor
    bias: Tensor | None

    @abstractmethod
    def run(self, values: Float[Tensor, "n ..."], weight: Tensor) -> Float[Tensor, "n ..."]:
        """The linear map with that weight, without the shift."""

    @abstractmethod
    def norm(self, shape: Shape) -> float:
        """An upper bound on the largest singular value, for inputs of that shape."""

    def linear(self, values: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Without the shift."""
        return self.run(values, self.weight)

    def sizes(self, values: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """With the sizes of the weights, without the shift."""
        return self.run(values, self.weight.abs())

    def row_norms(self, shape: Shape) -> Float[Tensor, "1 ..."]:
        """Euclidean norm of each row of the map, in the shape of its output."""
        ones = self.weight.new_ones((1, *shape))
        return self.run(ones, self.weight.square()).sqrt()

    def __call__(self, values: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """The map and the shift."""
        image = self.linear(values)
        return image if self.bias is None else image + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Linear(Affine):
    """A matrix [o i] on the last axis."""

    weight: Tensor
    bias: Tensor | None

    def run(self, values: Tensor, weight: Tensor) -> Tensor:
        """See `Affine`."""
        return functional.linear(values, weight)

    def norm(self, shape: Shape) -> float:
        """See `Affine`."""
        return matrix_bound(self.weight).item()


@dataclass(frozen=True, slots=True, eq=False)
class Convolution(Affine):
    """A convolution with zero padding; `bias` broadcasts against one output."""

    weight: Tensor
    bias: Tensor | None
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    def run(self, values: Tensor, weight: Tensor) -> Tensor:
        """See `Affine`."""
        return CONVOLUTIONS[weight.ndim - 2](
            values, weight, None, self.stride, self.padding, self.dilation, self.groups
        )

    def norm(self, shape: Shape) -> float:
        """See `Affine`."""
        return convolution_bound(
            self.weight,
            shape[1:],
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scale(Affine):
    """A factor for each number (broadcast), and a shift."""

    weight: Tensor
    bias: Tensor | None

    def run(self, values: Tensor, weight: Tensor) -> Tensor:
        """See `Affine`."""
        return values * weight

    def norm(self, shape: Shape) -> float:
        """See `Affine`."""
        return self.weight.abs().max().item()


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Affine):
    """The same numbers in another shape."""

    weight: Tensor  # the number 1
    shape: Shape
    bias: Tensor | None = None

    def run(self, values: Tensor, weight: Tensor) -> Tensor:
        """See `Affine`."""
        return values.reshape(len(values), *self.shape)

    def norm(self, shape: Shape) -> float:
        """See `Affine`."""
        return 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Average(Affine):
    """The mean over windows of the last axes, without padding."""

    weight: Tensor  # one over the numbers in a window
    window: Sequence[int]
    stride: Sequence[int]
    shape: Shape  # of an output
    bias: Tensor | None = None

    def run(self, values: Tensor, weight: Tensor) -> Tensor:
        """See `Affine`."""
        pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
        means = pool[len(self.window) - 1](values, tuple(self.window), tuple(self.stride))
        total = means * (weight * math.prod(self.window))
        return total.reshape(len(values), *self.shape)

    def norm(self, shape: Shape) -> float:
        """See `Affine`."""
        # The root of the largest row sum times the largest column sum (Schur's test), both of
        # numbers that are not negative: rows sum to 1, columns to the windows that meet.
        meet = math.prod(math.ceil(w / s) for w, s in zip(self.window, self.stride, strict=True))
        return math.sqrt(meet * self.weight.item()) * (1 + SLACK)


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of two values."""

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Their sum."""
        return first + second


@dataclass(frozen=True, slots=True)
class Maximum:
    """The maximum over windows of the last two axes; padding never wins."""

    window: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    def __call__(self, values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c p q"]:
        """The maxima."""
        return functional.max_pool2d(values, self.window, self.stride, self.padding, self.dilation)

    @property
    def lipschitz(self) -> float:
        """A number is the maximum of as many windows as hold it: that many copies at most."""
        # Of the taps at 0, d, 2d, ... those that one number meets lie a stride apart, in steps of
        # the least common multiple.
        meet = 1
        for w, s, d in zip(self.window, self.stride, self.dilation, strict=True):
            meet *= math.ceil(w / (math.lcm(s, d) // d))
        return math.sqrt(meet)

    def windows(
        self, values: Float[Tensor, "n c h w"], fill: float
    ) -> Float[Tensor, "n c window p q"]:
        """What each window holds, `fill` in the padding."""
        (top, left), (p, q) = self.padding, self.window
        padded = functional.pad(values, (left, left, top, top), value=fill)
        n, c = values.shape[:2]
        height, width = (
            (size - (k - 1) * d - 1) // s + 1
            for size, k, d, s in zip(
                padded.shape[2:], self.window, self.dilation, self.stride, strict=True
            )
        )
        rows = (torch.arange(height) * self.stride[0])[:, None] + torch.arange(p) * self.dilation[0]
        columns = (torch.arange(width) * self.stride[1])[:, None] + torch.arange(q) * self.dilation[
            1
        ]
        picked = padded[:, :, rows][:, :, :, :, columns]  # [n, c, height, p, width, q]
        return picked.permute(0, 1, 3, 5, 2, 4).reshape(n, c, p * q, height, width)
