"""How well a score tells strangers from the familiar: three numbers, for any weights of the rows.

Everything comes from one sorting, so that a bootstrap, whose draws are weights, costs sums alone.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Num
from torch import Tensor

__all__ = ["Detection", "detect"]


class Detection(NamedTuple):
    """Numbers for each row of weights.

    `auroc`: probability that a stranger scores above a familiar row, ties counting half. `aupr`:
    average precision with strangers as the positives, both sides weighing the same in all. `fpr`:
    share of strangers that pass when the threshold lets the given share of the familiar pass.
    """

    auroc: Float64[Tensor, " draws"]
    aupr: Float64[Tensor, " draws"]
    fpr: Float64[Tensor, " draws"]


def detect(
    familiar: Num[Tensor, " n"],
    strange: Num[Tensor, " m"],
    weights: tuple[Num[Tensor, "draws n"], Num[Tensor, "draws m"]] | None = None,
    *,
    kept: float = 0.95,
) -> Detection:
    """Area under the ROC curve, average precision, and misses at a threshold.

    Args:
        familiar: Scores of familiar rows; larger = stranger.
        strange: Scores of strangers.
        weights: How often each row counts, in each draw; None: once, in one draw.
        kept: Share of the familiar that the threshold lets pass, at least.

    Raises:
        ValueError: If there are no rows on one side, or a score is NaN.
    """
    if not len(familiar) or not len(strange):
        raise ValueError(f"expected rows on both sides, got {len(familiar)} and {len(strange)}")
    scores = torch.cat([familiar.double(), strange.double()])
    if bool(scores.isnan().any()):
        raise ValueError("expected scores that can be ranked, got NaN")
    if weights is None:
        weights = torch.ones(1, len(familiar)), torch.ones(1, len(strange))
    order = scores.argsort(descending=True)
    ends = torch.cat([scores[order].diff() != 0, torch.ones(1, dtype=torch.bool)])
    side = torch.arange(len(scores), device=scores.device)[order] >= len(familiar)
    alarm = _cumulated(weights[0], order, ~side, ends)  # share of the familiar at or above
    hit = _cumulated(weights[1], order, side, ends, len(familiar))
    rise = hit.diff(dim=1, prepend=hit.new_zeros(len(hit), 1))
    middle = (alarm + torch.cat([alarm.new_zeros(len(alarm), 1), alarm[:, :-1]], dim=1)) / 2
    precision = hit / (hit + alarm).clamp_min(1e-300)
    # the lowest threshold that lets enough pass: above it lies at most 1 - kept of the familiar
    passed = (alarm <= 1 - kept + 1e-9).double()
    return Detection(
        1 - (rise * middle).sum(dim=1),
        (rise * precision).sum(dim=1),
        1 - (hit * passed).amax(dim=1),
    )


def _cumulated(
    weight: Num[Tensor, "draws n"],
    order: Tensor,
    here: Bool[Tensor, " all"],
    ends: Bool[Tensor, " all"],
    first: int = 0,
) -> Float[Tensor, "draws groups"]:
    """Share of one side's weight at or above each value that occurs."""
    weight = weight.double()
    spread = weight.new_zeros(len(weight), len(order))
    spread[:, here] = weight[:, order[here] - first]
    total = spread.cumsum(dim=1)
    return (total / total[:, -1:])[:, ends]
