"""Noise of the right size: the bounds and moments of inputs, and what is drawn within them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

__all__ = ["Box", "box_of", "shuffled"]


class Box(NamedTuple):
    """Bounds and moments of each number of an input [...], in the type that noise is drawn in."""

    low: Float[Tensor, "..."]
    high: Float[Tensor, "..."]
    mean: Float[Tensor, "..."]
    deviation: Float[Tensor, "..."]

    def uniform(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs of which nothing is known but the bounds."""
        return self._between(self._draw(torch.rand, count, generator))

    def ends(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs of which every number is at one end of its range."""
        return self._between(self._draw(torch.rand, count, generator).round())

    def constant(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs that lie at one share of the range in all their numbers."""
        share = torch.rand(count, *[1] * self.low.ndim, generator=generator, dtype=self.low.dtype)
        return self._between(share.expand(count, *self.low.shape))

    def gaussian(self, count: int, generator: torch.Generator) -> Float[Tensor, "count ..."]:
        """Inputs of independent normal numbers with these moments."""
        return self.mean + self.deviation * self._draw(torch.randn, count, generator)

    def _draw(self, law: Callable[..., Tensor], count: int, generator: torch.Generator) -> Tensor:
        return law(count, *self.low.shape, generator=generator, dtype=self.low.dtype)

    def _between(self, share: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        return self.low + share * (self.high - self.low)


def box_of(
    inputs: Float[Tensor, "m ..."],
    low: float | None,
    high: float | None,
    *,
    together: Sequence[int] = (),
    moments_together: Sequence[int] = (),
) -> Box:
    """The bounds, or where there are none those of the inputs; and the inputs' moments.

    Args:
        inputs: A sample.
        low: What bounds them from below.
        high: What bounds them from above.
        together: Axes of the batch along which bounds are the same, beside that of the examples.
        moments_together: Axes along which moments are.
    """
    shape = inputs.shape[1:]

    def each(found: Tensor) -> Tensor:
        return found.expand(1, *shape)[0]

    over, along = [0, *together], [0, *moments_together]
    least, most = inputs.amin(over, keepdim=True), inputs.amax(over, keepdim=True)
    return Box(
        each(least if low is None else torch.full_like(least, low)),
        each(most if high is None else torch.full_like(most, high)),
        each(inputs.mean(along, keepdim=True)),
        each(inputs.std(along, correction=min(1, len(inputs) - 1), keepdim=True)),
    )


def shuffled(
    inputs: Shaped[Tensor, "b ..."], generator: torch.Generator
) -> Shaped[Tensor, "b ..."]:
    """Each input with its numbers in an order of its own; images [b, c, ...] with their pixels."""
    columns = inputs.flatten(2) if inputs.ndim > 2 else inputs[:, None]  # [b, channels, positions]
    order = torch.rand(len(inputs), 1, columns.shape[2], generator=generator).argsort(dim=2)
    return columns.gather(2, order.expand(columns.shape)).view(inputs.shape)
