r"""Answer only where sure: a threshold that keeps the error on answered rows below a target.

Learn then test (Angelopoulos, Bates, Candes, Jordan and Lei 2021, https://arxiv.org/abs/2110.01052).
A threshold t answers rows of confidence > t; its risk is R(t) = P(error | confidence > t). Each of
some thresholds is tested: under R(t) > target, the chance of k or fewer errors among m answered
rows is at most that of a binomial law of m trials at `target`. Thresholds are tested one after the
other, from strict to loose, each at the whole level, up to the first that fails (a fixed sequence);
there are two starting points, which share the level.

Thresholds are the (m+1)-th largest confidence for fixed m: given it, the rows above are independent
draws of the law above it, ties and all, so each test is exact.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int
from scipy import special
from torch import Tensor

__all__ = ["GroupCounts", "coverage_by_group", "risk_threshold", "rows_needed"]

STEPS = 50  # thresholds that are tested, evenly spaced in the number of rows answered
STARTS = (0.25, 0.5)  # share of rows answered at the first test of each sequence


def risk_threshold(
    confidence: Float[Tensor, " n"],
    error: Bool[Tensor, " n"] | Float[Tensor, " n"],
    target: float,
    *,
    certainty: float = 0.95,
) -> float | None:
    """The lowest threshold with which the error on answered rows is at most the target.

    Holds with probability `certainty` over draws of the n rows, which must be fresh: not those of
    training, nor those that a guard was calibrated on. It is proved where the risk, once above the
    target, stays there as more rows are answered; a confidence worth its name has such a risk.

    Args:
        confidence: Of each row, larger = surer.
        error: Whether the answer to it is wrong: 0 or 1.
        target: Largest share of errors among answered rows.
        certainty: With which the target is to hold.

    Returns:
        t: answer where confidence > t. Minus infinity if all rows may be answered; None if no
        threshold can be certified.

    Raises:
        ValueError: If target or certainty is not between 0 and 1, or a confidence is NaN.
    """
    least = rows_needed(target, certainty=certainty)
    if bool(confidence.isnan().any()):
        raise ValueError(f"expected numbers for confidence, got NaN in {confidence}")
    value, order = confidence.double().sort(descending=True)
    mistakes = torch.cat((torch.zeros(1), error[order].cpu().double().cumsum(0)))
    answered, cut = _tested(value)
    p = torch.from_numpy(special.bdtr(mistakes[answered].numpy(), answered.numpy(), target))
    fails = p > (1 - certainty) / len(STARTS)
    found = None
    for start in STARTS:
        first = int((answered < max(least, start * len(value))).sum())
        passed = int(fails[first:].double().cumsum(0).eq(0).sum())
        if passed and (found is None or cut[first + passed - 1].item() < found):
            found = cut[first + passed - 1].item()
    return found


def _tested(
    value: Float64[Tensor, " n"],
) -> tuple[Int[Tensor, " s"], Float64[Tensor, " s"]]:
    """How many rows each tested threshold answers, and the threshold; from strict to loose."""
    n = len(value)
    rows = torch.linspace(n / STEPS, n, STEPS, dtype=torch.double).round().long().unique()
    cut = torch.cat((value, value.new_full((1,), -torch.inf))).cpu()[rows].unique().flip(0)
    answered = torch.searchsorted(-value.cpu(), -cut)  # strictly above: ties are not answered
    return answered, cut


def rows_needed(target: float, *, certainty: float = 0.95) -> int:
    """Answered rows without which no threshold can be certified, even if none is wrong.

    Raises:
        ValueError: If target or certainty is not between 0 and 1.
    """
    if not (0 < target < 1 and 0 < certainty < 1):
        raise ValueError(
            f"expected target and certainty between 0 and 1, got {target} and {certainty}"
        )
    return math.ceil(math.log((1 - certainty) / len(STARTS)) / math.log1p(-target) - 1e-9)


class GroupCounts(NamedTuple):
    """What a rule of acceptance does to each group: counts, one number for each group."""

    group: Int[Tensor, " g"]
    rows: Int[Tensor, " g"]
    mistakes: Int[Tensor, " g"]
    accepted: Int[Tensor, " g"]
    mistakes_accepted: Int[Tensor, " g"]


def coverage_by_group(
    accepted: Bool[Tensor, " n"], error: Bool[Tensor, " n"], groups: Int[Tensor, " n"]
) -> GroupCounts:
    """What a rule of acceptance does to each group, in the order of their numbers.

    Args:
        accepted: Whether each row is answered.
        error: Whether the answer to it is (or would be) wrong.
        groups: The group of each row.
    """
    names, group = torch.unique(groups, return_inverse=True)
    every = torch.ones_like(accepted)
    return GroupCounts(names, *(
        torch.bincount(group[rows], minlength=len(names))
        for rows in (every, error, accepted, accepted & error)
    ))  # fmt: skip
