"""Quantiles of more numbers than fit in memory: exact, in two passes."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float32, Int, Int32, Int64
from torch import Tensor

__all__ = ["streamed_quantile"]

HALF = 16  # bits: a float32 is two halves, and a counter for each half is a small table
ZERO = 2 ** (HALF - 1)  # the counter of upper halves that are zero
MOST = 2**31 - 1  # all bits of a float32 but its sign
HAIR = 1e-12  # relative; a share of a count misses a whole number by rounding alone


def streamed_quantile(
    chunks: Callable[[], Iterable[Tensor]], shares: Sequence[float]
) -> Float32[Tensor, " q"]:
    """For each share the smallest of all numbers that at least this share of them does not exceed.

    A radix selection: numbers are counted by their upper 16 bits, then those that share the wanted
    upper bits by their lower 16. Nothing is sorted or sampled, whatever the numbers are; those of
    other types are rounded to float32 first.

    Args:
        chunks: Gives all numbers, in tensors of any shape; called twice.
        shares: In [0, 1]; 0 gives the minimum, 1 the maximum.

    Raises:
        ValueError: If a share is outside [0, 1], there are no numbers, or one is NaN.
    """
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"expected shares in [0, 1], got {list(shares)}")
    upper = torch.zeros(2**HALF, dtype=torch.int64)
    for chunk in chunks():
        if bool(chunk.isnan().any()):
            raise ValueError("expected numbers, got NaN")
        upper += _counts((_order(chunk) >> HALF) + ZERO)
    total = int(upper.sum())
    if not total:
        raise ValueError("expected at least one number, got none")
    ranks = torch.tensor([max(1, math.ceil(share * total * (1 - HAIR))) for share in shares])
    tops, ranks = _find(upper, ranks)

    lower = {top: torch.zeros_like(upper) for top in tops.tolist()}
    for chunk in chunks():
        order = _order(chunk)
        for top, counts in lower.items():
            counts += _counts(order[order >> HALF == top - ZERO] & (2**HALF - 1))
    found = [
        ((top - ZERO) << HALF) + int(_find(lower[top], rank[None])[0])
        for top, rank in zip(tops.tolist(), ranks, strict=True)
    ]
    return _flipped(torch.tensor(found, dtype=torch.int32)).view(torch.float32)


def _find(
    counts: Int64[Tensor, " b"], ranks: Int64[Tensor, " q"]
) -> tuple[Int64[Tensor, " q"], Int64[Tensor, " q"]]:
    """The bin of the number of each rank (from 1), and its rank within that bin."""
    upto = counts.cumsum(0)
    bins = torch.searchsorted(upto, ranks)
    return bins, ranks - (upto - counts)[bins]


def _counts(bins: Int[Tensor, " n"]) -> Int64[Tensor, " b"]:
    return torch.bincount(bins, minlength=2**HALF)


def _order(values: Tensor) -> Int32[Tensor, " n"]:
    """Whole numbers that are ordered as the floats (minus zero comes before zero)."""
    return _flipped(values.detach().cpu().float().flatten().view(torch.int32))


def _flipped(bits: Int32[Tensor, " n"]) -> Int32[Tensor, " n"]:
    """Negative floats count down as their bits count up: turn these round. Its own inverse."""
    return bits ^ ((bits >> 31) & MOST)
