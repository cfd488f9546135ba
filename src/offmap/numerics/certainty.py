"""How sure a softmax is, with all digits, and how sure it comes to be along a ray."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def log_doubt(logits: Float[Tensor, "... c"]) -> Float64[Tensor, "..."]:
    """Logarithm of 1 - the largest softmax probability, however close to 0 that is.

    Args:
        logits: Of two or more classes.
    """
    logits = logits.double()
    best = logits.argmax(dim=-1, keepdim=True)
    others = logits.scatter(-1, best, -math.inf)
    return others.logsumexp(dim=-1) - logits.logsumexp(dim=-1)


def confidence_at_infinity(
    once: Float[Tensor, "m c"], twice: Float[Tensor, "m c"], four_times: Float[Tensor, "m c"]
) -> Float64[Tensor, " m"]:
    r"""The limit of :math:`\max \operatorname{softmax} f(a x)` where f has become a line in a.

    With the logits on a line :math:`b + a s`, the limit is 1 if one slope is the largest, and the
    confidence there if all slopes are equal (Hein, Andriushchenko and Bitterwolf 2019).

    Args:
        once: Logits at some distance on each of m rays.
        twice: At twice the distance.
        four_times: At four times the distance.

    Returns:
        NaN where the three points do not lie on a line up to half of the digits of the logits'
        type, or where that leaves open whether slopes are equal.
    """
    rounding = math.sqrt(torch.finfo(once.dtype).eps)
    one, two, four = (
        logits.double() - logits.double().mean(dim=1, keepdim=True)  # what softmax can see
        for logits in (once, twice, four_times)
    )
    rise = (four - two) / 2
    size = rounding * four.abs().amax(dim=1)
    straight = (two - one - rise).abs().amax(dim=1) <= size
    first, second = rise.topk(2, dim=1).values.unbind(dim=1)
    level = rise.abs().amax(dim=1) <= size
    bounded = torch.where(level, -log_doubt(four).expm1(), torch.nan)
    return torch.where(straight, torch.where(first - second > size, 1.0, bounded), torch.nan)
