"""Along which directions training rows vary, and how much: found in one streamed pass."""

from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.attempt import InputError
from offmap.numerics.principal import principal_components
from offmap.numerics.span import Moments
from offmap.score import Known
from offmap.scores.rows import Mapped

WIDEST = 4096  # dimensions up to which the covariance is decomposed whole
COPIES = 4  # of it that are held meanwhile
MOST = 512  # directions that are sought beyond
SHARE = 8  # the sample from which, in copies, takes this part of the memory


class Spread(NamedTuple):
    """Principal directions of rows. What varies across all of them is `total` less `variance`."""

    mean: Float64[Tensor, " d"]
    axes: Float64[Tensor, "d k"]  # orthonormal columns
    variance: Float64[Tensor, " k"]  # along each, descending
    total: float  # mean of |x - mean|^2

    def leading(self, share: float, components: int | None) -> "Spread":
        """The first so many directions, or as few as carry a share of the variance.

        Raises:
            ValueError: If the share or the number is out of range.
        """
        d, k = self.axes.shape
        if not 0 < share < 1:
            raise ValueError(f"expected variance in (0, 1), got {share:g}")
        if components is not None and not 1 <= components < max(2, d):
            raise ValueError(f"expected components from 1 to {d - 1}, got {components}")
        enough = 1 + int((self.variance.cumsum(dim=0) < share * self.total).sum())
        kept = min(k, enough if components is None else components)
        return self._replace(axes=self.axes[:, :kept], variance=self.variance[:kept])

    @property
    def rest(self) -> float:
        """Variance across the directions."""
        return max(0.0, self.total - self.variance.sum().item())


def spread_of(rows: Mapped, memory: int, *, generator: torch.Generator) -> Spread:
    """All directions, from all rows; of wide rows the leading ones, from a sample.

    Args:
        rows: Vectors.
        memory: Bytes; wide is what has no room for its covariance, or more than 4,096 values.
        generator: Source of the sample.

    Raises:
        InputError: If the rows are all the same.
    """
    d = rows.read(0, 1).shape[1]
    found = _sampled(rows, d, memory, generator) if _wide(d, memory) else _whole(rows, d)
    if not found.total > 0:
        raise InputError("expected training examples that differ, got copies of one")
    return found


def input_spread(known: Known, *, generator: torch.Generator) -> Spread:
    """That of all training inputs. Several scores need it: what draws nothing is found once.

    Raises:
        InputError: If the inputs are all the same.
    """

    def found() -> Spread:
        return spread_of(Mapped(known.inputs, flat), known.memory, generator=generator)

    wide = _wide(prod(known.inputs.shape), known.memory)
    return found() if wide else known.shared("spread of inputs", found)


def _wide(d: int, memory: int) -> bool:
    return d > WIDEST or 8 * COPIES * d * d > memory


def _whole(rows: Mapped, d: int) -> Spread:
    """From the covariance of all rows."""
    moments = Moments(d)
    for chunk in rows.table.chunks():
        moments.add(rows.through(chunk))
    moment = moments.moment
    assert moment is not None
    variance, axes = torch.linalg.eigh(moment)
    return Spread(
        mean=moments.about + moments.offset,
        axes=axes.flip(1),
        variance=variance.flip(0).clamp_min(0),
        total=moment.trace().item(),
    )


def _sampled(rows: Mapped, d: int, memory: int, generator: torch.Generator) -> Spread:
    size = min(len(rows), max(2, memory // (8 * SHARE * d)))
    chosen = torch.randperm(len(rows), generator=generator)[:size].sort().values
    sample = rows.through(rows.table.take(chosen)).double()
    most = min(MOST, size, max(1, memory // (8 * SHARE * d)))
    found = principal_components(sample, most, generator=generator)
    total = (sample - found.mean).square().sum(dim=1).mean().item()
    return Spread(found.mean, found.axes, found.scale.square(), total)


def flat(rows: Tensor) -> Float64[Tensor, "n d"]:
    """Each row as a vector, in float64."""
    return rows.flatten(1).double()
