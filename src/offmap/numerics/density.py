"""Two densities simple enough to be exact: a Gaussian in principal components, and free bits."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Shaped
from torch import Tensor

from offmap.numerics.principal import Principal, principal_components

__all__ = ["GaussianDensity", "bits_of_coins", "fit_gaussian"]

FLOOR = 1e-6  # of the mean variance: what directions get in which no point varies


@dataclass(frozen=True, slots=True, eq=False)
class GaussianDensity:
    """A Gaussian with free variances along some axes and one variance across all others.

    That is probabilistic principal component analysis (Tipping and Bishop 1999), with the largest
    likelihood among its kind.
    """

    principal: Principal
    rest: float  # variance in each direction across the axes

    def negative_log_density(self, rows: Shaped[Tensor, "n d"]) -> Float64[Tensor, " n"]:
        """In nats, of each row."""
        mean, axes, scale = self.principal
        d, k = axes.shape
        values = rows.double() - mean
        along = values @ axes
        across = (values.square().sum(dim=1) - along.square().sum(dim=1)).clamp_min(0)
        squares = (along / scale).square().sum(dim=1) + across / self.rest
        volume = 2 * scale.log().sum().item() + (d - k) * math.log(self.rest)
        return 0.5 * (squares + volume + d * math.log(2 * math.pi))


def fit_gaussian(
    rows: Shaped[Tensor, "n d"], *, share: float, most: int, generator: torch.Generator
) -> GaussianDensity:
    """The density of largest likelihood with as many axes as carry a share of the variance.

    In no direction is the variance less than a millionth of the mean one.

    Args:
        rows: The points.
        share: Of the variance.
        most: Axes, even if they carry less.
        generator: Source of the directions from which axes are sought.

    Raises:
        ValueError: If all rows are equal, the share is not between 0 and 1, or most < 1.
    """
    if not (0 <= share <= 1 <= most):
        raise ValueError(f"expected 0 <= share <= 1 <= most, got {share} and {most}")
    values = rows.double()
    d = values.shape[1]
    total = (values - values.mean(dim=0)).square().sum().item() / len(values)
    if total <= 0:
        raise ValueError("expected rows that differ, got equal ones")
    mean, axes, scale = principal_components(values, min(most, d), generator=generator)
    carried = scale.square().cumsum(0) / total
    kept = min(len(scale), 1 + int((carried < share).sum()))
    left = total * (1 - carried[kept - 1].item())
    rest = max(left / max(1, d - kept), FLOOR * total / d)
    scale = scale[:kept].clamp_min(math.sqrt(FLOOR * total / d))
    return GaussianDensity(Principal(mean, axes[:, :kept], scale), rest)


def bits_of_coins(seen: Bool[Tensor, "m d"], fresh: Bool[Tensor, "n d"]) -> Float64[Tensor, " n"]:
    """Bits that each fresh row takes if every bit is a coin of its own, learned from `seen`.

    Each coin comes up with (ones + 1/2) / (m + 1) (Krichevsky and Trofimov 1981). The mean is at
    least the entropy of the law: so many bits, or fewer, are all that rows of it need.
    """
    ones = (seen.double().sum(dim=0) + 0.5) / (len(seen) + 1)
    return -torch.where(fresh, ones.log2(), (1 - ones).log2()).sum(dim=1)
