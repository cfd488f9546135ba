r"""Has a stream of p-values become too small? A wealth that can only grow if they have.

A gambler starts with 1 and bets, before each p-value p, on its being small: the stake is
multiplied by f(p), where f >= 0 falls in p and has integral 1. If p is super-uniform given the
past, P(p <= a) <= a, then E f(p) <= 1 and the wealth is a supermartingale: by Ville's inequality
it *ever* reaches 1/d with chance at most d, over all time and without a horizon.

**The calibration set is shared.** Conformal p-values are super-uniform on average over calibration
sets, not given one: with an unlucky set all p-values of a stream are a little too small, and any
such wealth grows without bound. So the p-values must be super-uniform *given* the calibration set,
with certainty 1 - d1: `conformal.knots(scores, confidence=1 - d1, simultaneous=True)`. Familiar
inputs, drawn independently, then raise a false alarm with chance at most d1 + d2 over all time.

**Bets.** f_{a,l}(p) = 1 - l + 2 l max(0, 1 - p/a) / a puts a share l of the stake on p below a. The
mean over `BETS` finds gross drift (small a) and mild (a = 1: a line) with one alarm.

**When drift starts late** a stake that bet from the beginning would be lost by then. So the
starting capital is spread over all starting times: r(t) = 1 / (2 + log(1 + t)) is kept in reserve,
and what the reserve loses is added to every stake: A_0 = 1 - r(0), A_t = f(p_t) A_{t-1} + r(t-1) -
r(t). The mean of the A_t plus r(t) is still a wealth that starts at 1, and drift that starts at
time t is found later than drift at time 0 by about log(t) over the rate of growth, no more.

**After an alarm** start again with `Wealth()`: k starts raise a false alarm with chance at most
d1 + k d2.

Sources: Vovk, Gammerman and Shafer 2005 (https://doi.org/10.1007/b106715); Bates, Candes, Lei,
Romano and Sesia 2023 (https://arxiv.org/abs/2104.08279); Shin, Ramdas and Rinaldo 2023 for bets
with many starting times (https://arxiv.org/abs/2203.03532).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

__all__ = ["BETS", "Wealth", "alarmed", "log_wealth", "updated"]

BETS = tuple((below, share) for below in (0.02, 0.1, 0.3, 1.0) for share in (0.1, 0.5))
RESERVE = 2.0  # one over the share of the capital that is not at stake at first


@dataclass(frozen=True, slots=True)
class Wealth:
    """The state of the test: a few finite numbers, for JSON to hold.

    Args:
        count: p-values seen.
        stakes: Logarithm of each bet's stake, in the order of `BETS`.
        now: Logarithm of the whole wealth.
        peak: The largest that it has been: the alarm looks at this.
        peak_at: How many p-values had been seen then.
    """

    count: int = 0
    stakes: tuple[float, ...] = (math.log(1 - 1 / RESERVE),) * len(BETS)
    now: float = 0.0
    peak: float = 0.0
    peak_at: int = 0


def updated(state: Wealth, p: Float[Tensor, " n"]) -> Wealth:
    """The state after n more p-values, in their order; one batch or many, the result is the same.

    Raises:
        ValueError: If a p-value is not in [0, 1], or the state has another number of stakes.
    """
    if len(state.stakes) != len(BETS):
        raise ValueError(f"expected {len(BETS)} stakes, got {len(state.stakes)}")
    if len(p) == 0:
        return state
    path, stakes = _followed(p.detach().cpu().numpy(), np.array(state.stakes), state.count)
    index = int(path.argmax())
    higher = path[index] > state.peak
    return Wealth(
        count=state.count + len(p),
        stakes=tuple(stakes.tolist()),
        now=float(path[-1]),
        peak=float(path[index]) if higher else state.peak,
        peak_at=state.count + index + 1 if higher else state.peak_at,
    )


def alarmed(state: Wealth, risk: float) -> bool:
    """Whether the wealth has ever reached 1 / risk: by chance, that happens with at most `risk`.

    Raises:
        ValueError: If the risk is not between 0 and 1.
    """
    if not 0 < risk < 1:
        raise ValueError(f"expected 0 < risk < 1, got {risk}")
    return state.peak >= -math.log(risk)


def log_wealth(
    p: Float[Tensor, "*r n"], stakes: Float64[Tensor, "*#r b"], count: int = 0
) -> tuple[Float64[Tensor, "*r n"], Float64[Tensor, "*r b"]]:
    r"""Logarithm of the whole wealth after each p-value, and of the stakes after the last.

    With F_t the product of f over this batch, :math:`A_t = F_t (A_0 + \sum_{j \le t} w_j / F_j)`:
    one cumulative sum in logarithms for each bet.

    Args:
        p: In order; rows are streams of their own.
        stakes: Logarithm of each bet's stake before the first.
        count: p-values seen before.

    Raises:
        ValueError: If a p-value is not in [0, 1].
    """
    path, last = _followed(p.detach().cpu().numpy(), stakes.detach().cpu().numpy(), count)
    return torch.from_numpy(path).to(p.device), torch.from_numpy(last).to(p.device)


def _followed(p: np.ndarray, stakes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As `log_wealth`, in numpy: for a few p-values at a time its calls cost a third of torch's.

    Raises:
        ValueError: If a p-value is not in [0, 1].
    """
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("expected p-values in [0, 1]")
    time = np.arange(count + 1.0, count + p.shape[-1] + 1)
    reserve = 1 / (RESERVE + np.log1p(time))
    added = np.log(np.log1p(1 / time) * reserve / (RESERVE + np.log(time)))  # what it loses at t
    below, share = np.array(BETS).T[:, :, None]
    bet = 2 * np.maximum(1 - p[..., None, :] / below, 0) / below - 1
    gain = np.log1p(share * bet).cumsum(axis=-1)
    before = np.broadcast_to(stakes[..., None], gain[..., :1].shape)
    stake = np.concatenate((before, added - gain), axis=-1)
    stake = np.logaddexp.accumulate(stake, axis=-1)[..., 1:] + gain
    whole = np.logaddexp.reduce(stake - math.log(len(BETS)), axis=-2)
    return np.logaddexp(np.log(reserve), whole), stake[..., -1]
