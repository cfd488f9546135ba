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
    low, high = facts.domain.low, facts.domain.high
    slack = 1e-6 * max(1.0, abs(low or 0.0), abs(high or 0.0))
    most = torch.finfo(inputs.dtype).max if inputs.is_floating_point() else torch.inf
    least = -most if low is None else max(-most, low - slack)
    most = most if high is None else min(most, high + slack)
    return (inputs >= least) & (inputs <= most)  # neither holds for what is no number
