"""What a guard says of a batch, as tensors."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int8, Shaped
from torch import Tensor

from offmap.guard.facts import Facts


class Verdict(NamedTuple):
    """What a guard says of a batch. Rows belong together.

    `prediction` is a class, -1 where the contract is broken; in regression it is the network's
    output. `reason` is an index into `REASONS`. Where the contract is broken there is no p-value
    and no score: both are NaN.
    """

    prediction: Shaped[Tensor, "n ..."]
    p_value: Float64[Tensor, " n"]
    accepted: Bool[Tensor, " n"]
    reason: Int8[Tensor, " n"]
    score: Float64[Tensor, " n"]


def sound(inputs: Shaped[Tensor, "n ..."], facts: Facts) -> Bool[Tensor, " n"]:
    """Whether each input keeps the contract: finite, and within the domain's range."""
    return within(inputs, facts).flatten(1).all(dim=1)


def within(inputs: Shaped[Tensor, "n ..."], facts: Facts) -> Bool[Tensor, "n ..."]:
    """Whether each number keeps the contract."""
    most = torch.finfo(inputs.dtype).max if inputs.is_floating_point() else torch.inf
    domain = facts.domain
    low = -most if domain.low is None else domain.low
    high = most if domain.high is None else domain.high
    slack = 1e-6 * max([1.0, *(abs(end) for end in (low, high) if abs(end) < most)])
    low, high = max(-most, low - slack), min(most, high + slack)
    return (inputs >= low) & (inputs <= high)  # neither holds for what is no number
