"""A number with its interval, and how both were obtained. Every interval is at 95 %."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, exp, isfinite, log, sqrt
from typing import Literal

import torch
from jaxtyping import Bool, Float
from scipy import special
from torch import Tensor

from offmap.attempt import CannotMeasure

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2

Method = Literal[
    "exact", "mean", "bootstrap", "replicates", "bound", "proportion", "difference",
    "quantile", "jackknife",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` lies in [`low`, `high`], from `n` examples, draws or seeds, obtained by `method`."""

    value: float
    low: float
    high: float
    method: Method
    n: int

    def __post_init__(self) -> None:
        if not all(isfinite(number) for number in (self.value, self.low, self.high)):
            raise CannotMeasure(
                f"expected a finite value and interval, got {self.value} [{self.low}, {self.high}]"
            )
        if not self.low <= self.value <= self.high:
            raise ValueError(f"expected {self.low} <= {self.value} <= {self.high}")

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        if self.low == self.high:
            return format(self.value, spec)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def exact(value: float, n: int = 1) -> Estimate:
    """A number that involves no sampling."""
    value = float(value)
    return Estimate(value, value, value, "exact", n)


def proportion(successes: float, n: int, *, family: int = 1) -> Estimate:
    """A share of independent trials, with the exact interval of Clopper and Pearson.

    Args:
        successes: How many of the trials succeeded.
        n: How many trials there were.
        family: How many such intervals are to hold all at once (Bonferroni).

    Raises:
        CannotMeasure: If there are no trials.
        ValueError: If there are more successes than trials, or a negative number of them.
    """
    if n < 1:
        raise CannotMeasure("a proportion needs at least one example, got none")
    if not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= {n}, got {successes}")
    k, tail = float(successes), TAIL / family
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return Estimate(k / n, min(low, k / n), max(high, k / n), "proportion", n)


def mean(rows: Tensor) -> Estimate:
    """The mean of independent examples: Student's t, or an exact proportion if all are 0 or 1.

    Args:
        rows: [n], one number for each example.

    Raises:
        CannotMeasure: If there are fewer than two examples.
    """
    rows = rows.detach().double().flatten()
    if len(rows) and bool(((rows == 0) | (rows == 1)).all()):
        return proportion(round(rows.sum().item()), len(rows))
    return _student(rows, "mean")


def replicates(values: Tensor | Sequence[float]) -> Estimate:
    """The mean over independent repetitions (seeds), with Student's t.

    Raises:
        CannotMeasure: If there are fewer than two repetitions.
    """
    return _student(torch.as_tensor(values, dtype=torch.double).flatten(), "replicates")


def _student(rows: Float[Tensor, " n"], method: Method) -> Estimate:
    n = len(rows)
    if n < 2:
        raise CannotMeasure(f"an interval needs at least two values, got {n}")
    value = rows.mean().item()
    half = float(special.stdtrit(n - 1, 1 - TAIL)) * rows.std().item() / sqrt(n)
    return Estimate(value, value - half, value + half, method, n)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """`first - second` for independent estimates, from their intervals.

    Square-and-add (Newcombe 1998; Zou and Donner 2008): asymmetric intervals stay asymmetric.
    """
    value = first.value - second.value
    low = value - sqrt((first.value - first.low) ** 2 + (second.high - second.value) ** 2)
    high = value + sqrt((first.high - first.value) ** 2 + (second.value - second.low) ** 2)
    return Estimate(value, low, high, "difference", min(first.n, second.n))


def ratio(first: Estimate, second: Estimate) -> Estimate | None:
    """`first / second` for independent positive estimates: the difference of their logarithms.

    None where either interval reaches zero, for then the ratio is not bounded.
    """
    if first.low <= 0 or second.low <= 0:
        return None
    logs = difference(*(
        Estimate(log(e.value), log(e.low), log(e.high), e.method, e.n) for e in (first, second)
    ))  # fmt: skip
    return Estimate(exp(logs.value), exp(logs.low), exp(logs.high), "difference", logs.n)


def quantile(rows: Tensor, level: float = 0.5) -> Estimate:
    """A quantile of independent examples (default: the median), between two of them.

    Exact for any law: the number of examples below the quantile is binomial.

    Args:
        rows: [n], one number for each example.
        level: Share of the law that lies below the quantile.

    Raises:
        CannotMeasure: If there are too few examples to bound the quantile on both sides.
        ValueError: If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected 0 < level < 1, got {level}")
    values = rows.detach().double().flatten().sort().values.cpu()
    n = len(values)
    below = torch.from_numpy(special.bdtr(range(n), n, level)) if n else values  # P(count <= i)
    low = int((below <= TAIL).sum()) - 1  # 0 is the smallest example
    high = int((below < 1 - TAIL).sum())
    if low < 0 or high >= n:
        raise CannotMeasure(f"{n} examples are too few for an interval of the {level:g} quantile")
    value = values[max(0, ceil(level * n) - 1)].item()
    return Estimate(value, values[low].item(), values[high].item(), "quantile", n)


def bootstrap(
    statistic: Callable[..., Tensor],
    *columns: Tensor,
    generator: torch.Generator,
    draws: int = 400,
) -> Estimate:
    """Any statistic of rows, with the percentile interval of `draws` resamples.

    Args:
        statistic: From the columns, resampled together, to a scalar.
        columns: Tensors with one row an example, all of the same length.
        generator: Source of the resamples.
        draws: How many. Draws on which the statistic is not finite are left out.

    Raises:
        CannotMeasure: If there are fewer than two rows, or too few draws give a finite value.
        ValueError: If the columns differ in length, or fewer than 20 draws are asked for.
    """
    n = len(columns[0])
    if any(len(column) != n for column in columns):
        raise ValueError(f"expected equal lengths, got {[len(column) for column in columns]}")
    if draws < 20:
        raise ValueError(f"expected draws >= 20, got {draws}")
    if n < 2:
        raise CannotMeasure(f"an interval needs at least two examples, got {n}")
    value = float(statistic(*columns))
    values = torch.empty(draws, dtype=torch.double)
    for draw in range(draws):
        rows = torch.randint(n, (n,), generator=generator)
        values[draw] = float(statistic(*(column[rows] for column in columns)))
    values = values[values.isfinite()]
    if len(values) < draws / 2:
        raise CannotMeasure("fewer than half of the bootstrap draws give a finite value")
    low, high = values.quantile(torch.tensor([TAIL, 1 - TAIL], dtype=torch.double)).tolist()
    return Estimate(value, min(low, value), max(high, value), "bootstrap", n)


def area(rows: Float[Tensor, " m"], positive: Bool[Tensor, " n"]) -> Estimate:
    """An area under the ROC curve, or a mean of some, from what each example pulls it to.

    The interval is that of the mean of the rows (DeLong et al. 1988); a perfect ranking, where
    they are all equal, is a share of the rarer kind.

    Args:
        rows: Area plus influence of each example, as `ranking.auroc_influence` gives them, or
            their means over examples that are not independent [m].
        positive: Which examples should rank high [n].
    """
    value = min(1.0, max(0.0, rows.mean().item()))
    if value in (0.0, 1.0):
        few = min(int(positive.sum()), int((~positive).sum()))
        return proportion(few * value, few)
    found = mean(rows)
    return Estimate(value, max(0.0, found.low), min(1.0, found.high), "jackknife", len(rows))


def bound(low: float, high: float, n: int = 1) -> Estimate:
    """A number known to lie between two certified bounds; the value shown is the middle."""
    return Estimate((float(low) + float(high)) / 2, float(low), float(high), "bound", n)


def dkw_band(n: int, confidence: float = CONFIDENCE) -> float:
    """Half width of the uniform confidence band around an empirical distribution of `n` rows.

    Dvoretzky, Kiefer and Wolfowitz, with Massart's constant.

    Raises:
        CannotMeasure: If there are no rows.
    """
    if n < 1:
        raise CannotMeasure("a confidence band needs at least one example, got none")
    return min(1.0, sqrt(log(2 / (1 - confidence)) / (2 * n)))
