r"""Split conformal p-values: how strange is a score beside n calibration scores, with a guarantee.

Larger = stranger. A new score s gets the rank that it would have among the calibration scores:

.. math:: p(s) = \frac{1 + \#\{i : s_i \ge s\}}{n + 1}, \qquad P(p(S) \le \alpha) \le \alpha

if the calibration scores and S are exchangeable, whatever their law; ties count against refusal.

**The continuous majorant.** p is a step function: it jumps by 1/(n+1) on the last bit of a float.
`knots` and `corners.p_value` replace it by the piecewise linear function through the points
(s_i, p(s_i)), then by the least majorant of its knots that falls nowhere faster than
L = `STEEPEST` / spread (faster only where the strangest scores crowd, see `_slope`):

- It is never below p: p is constant on (s_(k), s_(k+1)] and equal to p(s_(k+1)), and the line
  from p(s_(k)) down to p(s_(k+1)) lies above. So it is as valid as p.
- Where L does not bind it equals p at every calibration score and loses at most 1/(n+1) in
  between (t/(n+1) behind t tied scores).
- Its Lipschitz constant is L: knots are raised to max_{j <= k} (p_j + L x_j) - L x_k, and the line
  between two raised knots is no steeper than L. Scores that differ by float noise of 3e-6 of
  their spread differ by less than 1e-5 in p.
- After the last calibration score it falls to 1/(n+1), at slope L, and stays there.

Sources: Vovk, Gammerman and Shafer 2005 (https://doi.org/10.1007/b106715); Bates, Candes, Lei,
Romano and Sesia 2023 (https://arxiv.org/abs/2104.08279), for what holds given the calibration set.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from scipy import special
from torch import Tensor

from offmap.numerics.corners import Knots

__all__ = [
    "RealizedRate",
    "benjamini_hochberg",
    "dkw_levels",
    "grouped_knots",
    "knots",
    "levels",
    "needed",
    "p_values",
    "realized",
    "simes_levels",
]

STEEPEST = 3.0  # the majorant falls by at most this much over the spread of the scores
FEWEST, CLOSE = 4, 1e-3  # scores in a tail, and width in spreads, that may make it fall faster
SPREAD = (0.1, 0.9)  # quantiles of the distinct scores between which the spread is taken
TAIL = 0.025  # on either side of a 95 % interval


def levels(
    count: int, *, confidence: float | None = None, simultaneous: bool = False
) -> Float64[Tensor, " count_and_one"]:
    r"""The p-value of a score that exactly r - 1 calibration scores reach, r = 1 .. count + 1.

    Let T_r be the chance that a new score exceeds the r-th largest calibration score, given the
    calibration set. For a continuous law it is Beta(r, count + 1 - r), for others smaller. Levels
    b_1 <= ... <= b_{count+1} = 1 keep the promise at alpha if T_r <= b_r for the largest r with
    b_r <= alpha, since refused is who exceeds the r-th largest.

    - Marginal (no confidence): b_r = E T_r = r / (count + 1).
    - Pointwise: b_r is the quantile of T_r at `confidence`, good for one alpha fixed in advance.
    - Simultaneous: P(T_r <= b_r for every r) >= confidence, good for any alpha, and the p-values
      are super-uniform given the calibration set. See `_simultaneous`.

    Raises:
        ValueError: If there are no calibration scores, or confidence is not between 0 and 1, or
            simultaneous levels are asked for without it.
    """
    if count < 1:
        raise ValueError(f"expected at least one calibration score, got {count}")
    if confidence is None:
        if simultaneous:
            raise ValueError("expected a confidence for simultaneous levels, got none")
        return torch.arange(1, count + 2, dtype=torch.double) / (count + 1)
    if not 0 < confidence < 1:
        raise ValueError(f"expected 0 < confidence < 1, got {confidence}")
    if simultaneous:
        bound = _simultaneous(count, 1 - confidence)
    else:
        rank = np.arange(1, count + 1)
        bound = torch.from_numpy(special.betaincinv(rank, count + 1 - rank, confidence))
    return torch.cat((bound, bound.new_ones(1)))


def _simultaneous(count: int, risk: float) -> Float64[Tensor, " count"]:
    """The smaller of two bands at each rank, each band given half of the risk.

    Simes is the sharper one for small levels (b_1 is 2 log(1/risk) / n, against a margin of order
    1 / sqrt(n)), DKW for large ones (Simes stays a fixed share above them, however large n is).
    """
    return torch.minimum(simes_levels(count, risk / 2), dkw_levels(count, risk / 2))


def dkw_levels(count: int, risk: float) -> Float64[Tensor, " count"]:
    """T_r <= (r - 1)/n + sqrt(log(1/risk) / 2n) for every r (Massart's constant, risk <= 1/2)."""
    margin = math.sqrt(math.log(1 / risk) / (2 * count))
    return (torch.arange(count, dtype=torch.double) / count + margin).clamp(max=1.0)


def simes_levels(count: int, risk: float) -> Float64[Tensor, " count"]:
    r"""Generalized Simes (Sarkar 2008; Bates et al. 2023, with k = n / 2).

    The i-th smallest of n uniforms is below :math:`a_i = (\delta\,
    \tfrac{i (i-1) \cdots (i-k+1)}{n (n-1) \cdots (n-k+1)})^{1/k}` for some i with chance delta;
    1 - T_r is the (n + 1 - r)-th smallest.
    """
    k = max(1, count // 2)
    i = torch.arange(count, 0, -1, dtype=torch.double)  # n + 1 - r
    falling = torch.lgamma(i + 1) - torch.lgamma((i - k + 1).clamp(min=1.0))
    log = (math.log(risk) + falling - falling[0]) / k
    return torch.where(i >= k, -torch.expm1(log), 1.0)


def knots(
    scores: Float[Tensor, " n"], *, confidence: float | None = None, simultaneous: bool = False
) -> Knots:
    """The continuous p-value of n calibration scores, as the corners of its graph.

    Args:
        scores: Of calibration examples, larger = stranger.
        confidence: The chance with which the promise is to hold for this very calibration set;
            None for the promise on average over calibration sets.
        simultaneous: Whether it is to hold for every alpha at once; see `levels`.

    Raises:
        ValueError: If there are no scores, one is not finite, or the confidence is not usable.
    """
    value = scores.detach().double()
    if not bool(value.isfinite().all()):
        row = int((~value.isfinite()).nonzero()[0])
        raise ValueError(
            f"expected finite calibration scores, got {value[row].item()} in row {row}"
        )
    step = levels(len(value), confidence=confidence, simultaneous=simultaneous).to(value.device)
    place, size = torch.unique(value, return_counts=True)
    reached = len(value) - (size.cumsum(0) - size)  # scores as large as this one, itself included
    slope = _slope(value.sort().values, _spread(place))
    climb = slope * (place - place[0])
    level = torch.maximum(step[reached], (step[reached] + climb).cummax(0).values - climb)
    end = place[-1] + (level[-1] - step[0]) / slope
    end = torch.maximum(end, place[-1].nextafter(torch.full_like(end, torch.inf)))
    return Knots(torch.cat((place, end[None])), torch.cat((level, step[:1])))


def _slope(ordered: Float64[Tensor, " n"], spread: float) -> float:
    """How fast the majorant may fall: fast enough for the strangest half, quarter, ... of scores.

    Where these crowd at the strange end, as below a score's upper limit, a slope of `STEEPEST`
    over the spread would hold p above any small alpha, and nothing could ever be refused.
    """
    count, found = len(ordered), STEEPEST / spread
    tail = count // 2
    while tail >= FEWEST:
        width = (ordered[-1] - ordered[-tail]).item()
        if width > CLOSE * spread:  # closer ones are tied, for all that a slope can do
            found = max(found, 2 * tail / count / width)
        tail //= 2
    return found


def _spread(place: Float64[Tensor, " m"]) -> float:
    """How far apart typical scores are; never zero."""
    if len(place) == 1:
        return abs(place.item()) or 1.0
    low, high = place.quantile(torch.tensor(SPREAD, dtype=torch.double, device=place.device))
    return (high - low).item()


def grouped_knots(
    scores: Float[Tensor, " n"],
    group: Int[Tensor, " n"],
    groups: int,
    *,
    confidence: float | None = None,
    simultaneous: bool = False,
) -> Knots:
    """`knots` of each group on its own (Mondrian): the promise then holds within each group.

    Returns:
        position and level [groups m]; shorter rows repeat their last corner.

    Raises:
        ValueError: If a group is without scores, or as in `knots`.
    """
    size = torch.bincount(group, minlength=groups)
    if len(size) > groups or not bool((size > 0).all()):
        raise ValueError(f"expected scores in each of {groups} groups, got {size.tolist()}")
    rows = [
        knots(scores[group == g], confidence=confidence, simultaneous=simultaneous)
        for g in range(groups)
    ]
    return _padded(rows)


def _padded(rows: Sequence[Knots]) -> Knots:
    longest = max(len(row.position) for row in rows)

    def fill(row: Tensor) -> Tensor:
        return torch.cat((row, row[-1:].expand(longest - len(row))))

    return Knots(*(torch.stack([fill(row) for row in part]) for part in zip(*rows, strict=True)))


def p_values(
    scores: Float[Tensor, " n"],
    calibration: Float[Tensor, " m"],
    *,
    generator: torch.Generator | None = None,
) -> Float64[Tensor, " n"]:
    """The exact p-value of each score: a step function of it, with ties against refusal.

    A score that is not finite counts as larger than any other.

    Args:
        scores: To be judged.
        calibration: The scores of the calibration examples.
        generator: If given, ties and the score's own rank are broken at random: p-values of
            exchangeable scores are then exactly uniform.

    Raises:
        ValueError: If there are no calibration scores, or one is not finite.
    """
    ordered = calibration.double().sort().values
    if len(ordered) < 1 or not bool(ordered.isfinite().all()):
        raise ValueError(f"expected finite calibration scores, got {calibration}")
    score = torch.where(scores.isfinite(), scores.double(), torch.inf)
    reached = len(ordered) - torch.searchsorted(ordered, score)
    if generator is None:
        return (1 + reached).double() / (len(ordered) + 1)
    passed = len(ordered) - torch.searchsorted(ordered, score, right=True)
    draw = torch.rand(score.shape, dtype=torch.double, generator=generator).to(score.device)
    return (passed + draw * (1 + reached - passed)) / (len(ordered) + 1)


def needed(alpha: float, *, confidence: float | None = None, simultaneous: bool = False) -> int:
    """Calibration scores without which no p-value could ever be alpha or less.

    Raises:
        ValueError: If alpha or confidence is not between 0 and 1.
    """
    _check_alpha(alpha)

    def enough(count: int) -> bool:
        return levels(count, confidence=confidence, simultaneous=simultaneous)[0].item() <= alpha

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


class RealizedRate(NamedTuple):
    """The share of familiar inputs refused, given a calibration set that is yet to be drawn."""

    mean: float
    low: float
    high: float


def realized(
    count: int, alpha: float, *, confidence: float | None = None, simultaneous: bool = False
) -> RealizedRate:
    """What refusing p <= alpha will cost: the law of the false-alarm rate over calibration sets.

    Let r be the largest rank with level b_r <= alpha (`levels`). The majorant is b_r at the
    (r-1)-th largest calibration score and above alpha at the r-th, so its threshold lies between
    the two, and the rate between T_{r-1} ~ Beta(r - 1, n + 2 - r) and T_r ~ Beta(r, n + 1 - r).

    Args:
        count: Calibration scores n.
        alpha: Largest p-value that is refused.
        confidence: As in `knots`.
        simultaneous: As in `knots`.

    Returns:
        `low` and `high` hold the rate of at least 95 % of all calibration sets: they are the 2.5 %
        point of the first law and the 97.5 % point of the second. `mean` is the mean where scores
        are spread evenly around the threshold; in any case the mean is between (r - 1)/(n + 1) and
        r/(n + 1). `high` holds for every law; where scores are tied, or crowd so much that the
        bound on the slope binds, the rate may fall below `low`.

    Raises:
        ValueError: If there are too few calibration scores ever to refuse at this alpha.
    """
    _check_alpha(alpha)
    step = levels(count, confidence=confidence, simultaneous=simultaneous)
    r = int((step <= alpha).sum())
    if r == 0:
        least = needed(alpha, confidence=confidence, simultaneous=simultaneous)
        raise ValueError(f"expected at least {least} calibration scores at {alpha=}, got {count}")
    part = ((alpha - step[r - 1]) / (step[r] - step[r - 1])).item()
    low = float(special.betaincinv(r - 1, count + 2 - r, TAIL)) if r > 1 else 0.0
    high = float(special.betaincinv(r, count + 1 - r, 1 - TAIL))
    return RealizedRate((r - 1 + part) / (count + 1), low, high)


def benjamini_hochberg(p: Float[Tensor, " n"], rate: float) -> Bool[Tensor, " n"]:
    """Which of n inputs to call strangers so that at most a share `rate` of those called are not.

    Refused are the k smallest p-values, k the largest with p_(k) <= rate k / n. Though p-values
    share one calibration set, the expected share of false discoveries is at most rate times the
    share of familiar inputs: given the scores of one of these and of the calibration set as a set,
    the smaller that one's p-value, the smaller are all others (Bates et al. 2023). The argument
    holds for the exact p-values and, with a bound on the slope fixed in advance, for the majorant.

    Raises:
        ValueError: If the rate is not between 0 and 1, or a p-value is not in [0, 1].
    """
    if not 0 < rate < 1:
        raise ValueError(f"expected 0 < rate < 1, got {rate}")
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError("expected p-values in [0, 1]")
    ordered = p.double().sort().values
    line = rate * torch.arange(1, len(p) + 1, dtype=torch.double, device=p.device) / len(p)
    passing = ordered[ordered <= line]
    return p.double() <= passing[-1] if len(passing) else torch.zeros_like(p, dtype=torch.bool)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"expected 0 < alpha < 1, got {alpha}")
