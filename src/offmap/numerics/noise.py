"""Noise of the right size: the box that inputs come from, their moments, and what is drawn in it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

__all__ = ["Box", "box_of", "shuffled"]


class Box(NamedTuple):
    """Bounds and moments of the numbers of one input [...], in the type that noise is drawn in."""

    low: Float[Tensor, "..."]
    high: Float[Tensor, "..."]
    mean: Float[Tensor, "..."]
    deviation: Float[Tensor, "..."]

    def between(self, share: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Inputs at a share of the way from the lower to the upper bound."""
        return self.low + share * (self.high - self.low)

    def uniform(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs of which nothing is known but the bounds."""
        return self.between(self._drawn(torch.rand, count, self.low.shape, generator))

    def corners(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs of which every number is at one end of its range."""
        return self.between(self._drawn(torch.rand, count, self.low.shape, generator).round())

    def constant(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs of one level throughout."""
        level = torch.rand(count, generator=generator, dtype=self.low.dtype)
        return self.between(level.view(-1, *[1] * self.low.ndim).expand(-1, *self.low.shape))

    def gaussian(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Independent normal numbers with the moments."""
        draw = torch.randn(count, *self.low.shape, generator=generator, dtype=self.low.dtype)
        return self.mean + self.deviation * draw


