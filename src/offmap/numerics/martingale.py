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

No stake grows beyond `CAP`: what is thrown away makes no wealth unfair.

**After an alarm** start again with `Wealth()`: k starts raise a false alarm with chance at most
d1 + k d2.

Sources: Vovk, Gammerman and Shafer 2005 (https://doi.org/10.1007/b106715); Bates, Candes, Lei,
Romano and Sesia 2023 (https://arxiv.org/abs/2104.08279); Shin, Ramdas and Rinaldo 2023 for bets
with many starting times (https://arxiv.org/abs/2203.03532).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BETS", "RESERVE", "Wealth", "alarmed", "updated"]

BETS = tuple((below, share) for below in (0.02, 0.1, 0.3, 1.0) for share in (0.1, 0.5))
LINES = tuple((below, share, 2 * share / below**2) for below, share in BETS)  # with their slopes
CAP = 1e200  # of a stake
MOST = math.log(CAP)
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


def updated(state: Wealth, p: Sequence[float]) -> Wealth:
    """The state after n more p-values, in their order; one batch or many, the result is the same.

    Raises:
        ValueError: If a p-value is not in [0, 1], or the state has another number of stakes.
    """
    if len(state.stakes) != len(BETS):
        raise ValueError(f"expected {len(BETS)} stakes, got {len(state.stakes)}")
    stakes = [math.exp(min(stake, MOST)) for stake in state.stakes]
    time, peak, peak_at = state.count, math.exp(min(state.peak, MOST)), state.peak_at
    wealth = math.exp(min(state.now, MOST))
    for value in p:
        if not 0 <= value <= 1:
            raise ValueError(f"expected p-values in [0, 1], got {value}")
        time += 1
        reserve = 1 / (RESERVE + math.log1p(time))
        added = math.log1p(1 / time) * reserve / (RESERVE + math.log(time))  # what it loses at t
        stakes = [
            min(stake * (1 - share + max(0.0, rise * (below - value))) + added, CAP)
            for stake, (below, share, rise) in zip(stakes, LINES, strict=True)
        ]
        wealth = sum(stakes) / len(stakes) + reserve
        if wealth > peak:
            peak, peak_at = wealth, time
    if time == state.count:
        return state
    higher = math.log(peak) if peak_at > state.count else state.peak
    return Wealth(time, tuple(map(math.log, stakes)), math.log(wealth), higher, peak_at)


def alarmed(state: Wealth, risk: float) -> bool:
    """Whether the wealth has ever reached 1 / risk: by chance, that happens with at most `risk`.

    Raises:
        ValueError: If the risk is not between 0 and 1.
    """
    if not 0 < risk < 1:
        raise ValueError(f"expected 0 < risk < 1, got {risk}")
    return state.peak >= -math.log(risk)
