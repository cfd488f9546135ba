"""What noise of the right size is drawn with: the box that inputs come from, and their moments."""

from typing import NamedTuple

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, mean
from offmap.run import Domain, Split

MEMORY_SHARE = 8  # a sample may take this part of the budget


class Box(NamedTuple):
    """Bounds and moments of one input [...]: by channel of an image, by coordinate of a vector."""

    low: Float64[Tensor, "..."]
    high: Float64[Tensor, "..."]
    mean: Float64[Tensor, "..."]
    deviation: Float64[Tensor, "..."]

    def uniform(self, count: int, generator: torch.Generator) -> Float64[Tensor, "count ..."]:
        """Inputs of which nothing is known but the bounds."""
        share = torch.rand(count, *self.low.shape, generator=generator, dtype=torch.double)
        return self.low + share * (self.high - self.low)


def sampled(
    split: Split, domain: Domain, examples: int, generator: torch.Generator
) -> Shaped[Tensor, "m ..."]:
    """Some inputs of a split, on the CPU; fewer than asked for where they exceed the memory.

    Raises:
        CannotMeasure: If they are tokens.
    """
    if domain.kind == "tokens":
        raise CannotMeasure("token numbers have no size: there is no noise between them")
    most = max(2, split.memory // MEMORY_SHARE // max(1, split.table.row_bytes))
    rows = torch.randperm(len(split), generator=generator)[: min(examples, most)]
    return split.table.take(rows.sort().values).cpu()


def box_of(inputs: Shaped[Tensor, "m ..."], domain: Domain) -> Box:
    """The domain's bounds, or where it has none those of the inputs; and the inputs' moments."""
    values = inputs.double()
    image = domain.kind == "image" and values.ndim > 2
    over = [0, *range(2, values.ndim)] if image else [0]

    def each(found: Tensor) -> Tensor:
        return found.expand(1, *values.shape[1:])[0]

    low, high = values.amin(over, keepdim=True), values.amax(over, keepdim=True)
    return Box(
        each(low if domain.low is None else torch.full_like(low, domain.low)),
        each(high if domain.high is None else torch.full_like(high, domain.high)),
        each(values.mean(over, keepdim=True)),
        each(values.std(over, correction=0, keepdim=True)),
    )


def mean_probability(rows: Float64[Tensor, " m"]) -> Estimate:
    """The mean of probabilities, with an interval that stays within [0, 1]."""
    found = mean(rows)
    return Estimate(found.value, max(0.0, found.low), min(1.0, found.high), found.method, found.n)
