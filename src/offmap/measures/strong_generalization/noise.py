"""A sample of inputs, and the box that noise of their size is drawn in."""

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, mean
from offmap.numerics import noise
from offmap.numerics.noise import Box
from offmap.run import Domain, Split

MEMORY_SHARE = 8  # a sample may take this part of the budget


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
    """Bounds and moments by channel of an image, by coordinate of a vector, in float64."""
    image = domain.kind == "image" and inputs.ndim > 2
    channel = range(2, inputs.ndim) if image else ()
    return noise.box_of(
        inputs.double(), domain.low, domain.high, together=channel, moments_together=channel
    )


def mean_probability(rows: Float64[Tensor, " m"]) -> Estimate:
    """The mean of probabilities, with an interval that stays within [0, 1]."""
    found = mean(rows)
    return Estimate(found.value, max(0.0, found.low), min(1.0, found.high), found.method, found.n)
