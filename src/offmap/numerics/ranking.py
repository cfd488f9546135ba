"""Does one column order another? Areas under the ROC curve and rank correlation, ties included.

Everything comes from ranks, O(n log n), in float64.
"""

import torch
from jaxtyping import Bool, Float, Float64, Num
from torch import Tensor

__all__ = ["auroc", "auroc_influence", "ranks", "spearman"]


def ranks(values: Num[Tensor, " n"]) -> Float64[Tensor, " n"]:
    """The rank of each value, counted from 1; ties share the mean of their ranks."""
    _, group, size = torch.unique(values, return_inverse=True, return_counts=True)
    return (size.cumsum(0) - (size - 1) / 2).double()[group]


def auroc(score: Num[Tensor, " n"], positive: Bool[Tensor, " n"]) -> Float64[Tensor, ""]:
    r"""Area under the ROC curve of `score` as a detector of the positives.

    .. math:: P(s^+ > s^-) + \tfrac12 P(s^+ = s^-)

    for a random positive and a random negative (Mann and Whitney). NaN if either kind is missing.
    """
    above, _ = _placements(score, positive)
    return above.mean()


def auroc_influence(
    score: Num[Tensor, " n"], positive: Bool[Tensor, " n"]
) -> tuple[Float64[Tensor, ""], Float64[Tensor, " n"]]:
    r"""The area, and how each example pulls on it: the influence values of DeLong et al. 1988.

    Their sum is zero, and the variance of the area over fresh samples is about
    :math:`\sum_i \psi_i^2 / n^2`. Of examples that are not independent (copies of one original,
    say), sum the influences of each cluster first (Obuchowski 1997).

    Source: https://doi.org/10.2307/2531595

    Raises:
        ValueError: If there are no positives, or nothing else.
    """
    if len(score) == 0 or positive.min() == positive.max():
        raise ValueError(
            f"expected both positives and negatives, got {int(positive.sum())} of {len(score)}"
        )
    above, below = _placements(score, positive)
    area = above.mean()
    influence = torch.empty(len(score), dtype=torch.double, device=score.device)
    influence[positive] = (above - area) * (len(score) / len(above))
    influence[~positive] = (below - area) * (len(score) / len(below))
    return area, influence


def _placements(
    score: Num[Tensor, " n"], positive: Bool[Tensor, " n"]
) -> tuple[Float64[Tensor, " p"], Float64[Tensor, " q"]]:
    """Share of negatives below each positive, and of positives above each negative; ties half."""
    everywhere = ranks(score)
    p, q = int(positive.sum()), int((~positive).sum())
    above = (everywhere[positive] - ranks(score[positive])) / q
    below = 1 - (everywhere[~positive] - ranks(score[~positive])) / p
    return above, below


def spearman(first: Num[Tensor, " n"], second: Num[Tensor, " n"]) -> Float[Tensor, ""]:
    """Correlation of the ranks. NaN if either column is constant."""
    a, b = (r - r.mean() for r in (ranks(first), ranks(second)))
    return (a @ b) / (a.norm() * b.norm())
