"""Intrinsic dimension as estimates: what the measures of inputs and of layers share."""

import math

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact
from offmap.figures import Curve
from offmap.inputs import TrainNeighbors
from offmap.numerics.dimension import (
    LEAST,
    Dimension,
    Neighborhoods,
    gride,
    maximum_likelihood,
    neighborhoods,
    two_nn,
)
from offmap.numerics.neighbors import search
from offmap.numerics.spectrum import centered_gram

LIMIT = 10.0  # dimensions above which every estimator reads too little
QUERIES = 1000  # points of a Gaussian cloud that are looked up
FOLLOWED = 0.999  # share of the variance that the cloud has


def looked_up(near: TrainNeighbors, what: str) -> Neighborhoods:
    """The neighborhoods of training examples, checked.

    Raises:
        CannotMeasure: If there are too few, or copies or a lattice break the estimators.
    """
    return _checked(near.rows, near.distance, near.index, what)


def looked_up_in(values: Shaped[Tensor, "m d"], what: str, *, k: int) -> Neighborhoods:
    """The neighborhoods of all rows among themselves, checked.

    Raises:
        CannotMeasure: If there are too few, or copies or a lattice break the estimators.
    """
    rows = torch.arange(len(values), device=values.device)
    if len(rows) < LEAST:
        raise CannotMeasure(f"{what}: expected at least {LEAST} points, got {len(rows)}")
    found = search(values, values, k=min(k, len(rows) - 1), exclude=rows)
    return _checked(rows, found.distance, found.index, what)


def _checked(rows: Tensor, distance: Tensor, index: Tensor, what: str) -> Neighborhoods:
    try:
        return neighborhoods(rows, distance, index)
    except ValueError as error:  # data without a dimension, not a fault
        raise CannotMeasure(f"{what}: {error}") from error


def estimate(found: Dimension) -> Estimate:
    """A dimension with its interval."""
    low, high = found.interval()
    return Estimate(
        found.value, min(low, found.value), max(high, found.value), "jackknife", found.n
    )


def by_distance(near: Neighborhoods, *, k: int) -> dict[str, Estimate]:
    """Every estimate that needs distances alone, by name, finest scale first."""
    found = {"TwoNN": estimate(two_nn(near))}
    for nearest in scales(near.k)[1:]:
        found[f"Gride, neighbors {nearest} and {2 * nearest}"] = estimate(
            gride(near, nearest=nearest)
        )
    return found | {f"maximum likelihood, {min(k, near.k)} neighbors": likelihood(near, k=k)}


def likelihood(near: Neighborhoods, *, k: int) -> Estimate:
    """The headline of both measures."""
    return estimate(maximum_likelihood(near, k=k))


def likelihood_or_none(near: TrainNeighbors, *, k: int = 20) -> Estimate | None:
    """The dimension of the training inputs, for measures that can do without it."""
    try:
        return likelihood(looked_up(near, "training inputs"), k=k)
    except CannotMeasure:
        return None


def scales(k: int) -> list[int]:
    """Neighbors from which Gride can look to those twice as far out: 1, 2, 4, ..."""
    return [2**power for power in range(k.bit_length()) if 2 ** (power + 1) <= k]


def gaussian_cloud(
    values: Shaped[Tensor, "m d"], n: int, *, k: int, memory: int, generator: torch.Generator
) -> Neighborhoods:
    """Neighborhoods in a Gaussian cloud of `n` points that has the covariance of `values`.

    Distances do not see rotations, so the variances along the principal axes are all that counts;
    the last thousandth of the variance is left out, and points beyond an eighth of `memory`.

    Raises:
        CannotMeasure: If the values do not vary.
    """
    variances = torch.linalg.eigvalsh(centered_gram(values)).flip(0).clamp_min(0).cpu()
    share = variances.cumsum(0) / variances.sum()
    if not bool(share.isfinite().all()):
        raise CannotMeasure(f"the {len(values)} examples looked at are all equal")
    spread = variances[: int((share < FOLLOWED).sum()) + 1].sqrt().float()
    most = max(1000, memory // 8 // (4 * len(spread)))
    cloud = torch.randn(min(n, most), len(spread), generator=generator) * spread
    rows = torch.arange(min(len(cloud), QUERIES))  # they are all alike
    found = search(cloud[rows], cloud, k=min(k, len(cloud) - 1), exclude=rows)
    return neighborhoods(rows, found.distance, found.index)


def scale_curve(near: Neighborhoods, cloud: Neighborhoods) -> Curve:
    """Gride by the number of neighbors that it spans, beside the Gaussian cloud's."""
    sides = {"data": near, "Gaussian cloud": cloud}
    nearest = scales(min(near.k, cloud.k))
    found = {
        side: [estimate(gride(points, nearest=n)) for n in nearest]
        for side, points in sides.items()
    }

    return Curve(
        "Dimension by scale (Gride)",
        "neighbors in the ball",
        "dimensions",
        2 * torch.tensor(nearest, dtype=torch.double),
        _column(found, "value"),
        low=_column(found, "low"),
        high=_column(found, "high"),
        log_x=True,
    )


def _column(found: dict[str, list[Estimate]], which: str) -> dict[str, Float64[Tensor, " m"]]:
    return {
        side: torch.tensor([getattr(one, which) for one in row], dtype=torch.double)
        for side, row in found.items()
    }


def disagreement(found: dict[str, Estimate]) -> Estimate:
    """The largest of some estimates over the smallest: what the choice of estimator decides."""
    values = [one.value for one in found.values()]
    return exact(max(values) / min(values), min(one.n for one in found.values()))


def remarks(headline: Estimate, spread: Estimate, copies: int, what: str) -> tuple[str, ...]:
    """What a reader must know of the estimates, in words."""
    notes = []
    if copies:
        notes.append(f"{copies} of the {what} equal another one and were left out.")
    if headline.value > LIMIT:
        notes.append(
            f"Above {LIMIT:g} dimensions all estimators read too little: take "
            f"{headline.value:.3g} for a lower bound."
        )
    if spread.value > math.sqrt(2):
        notes.append(
            f"The estimators differ by a factor of {spread.value:.2g}: the dimension depends on "
            "the scale; see the curve."
        )
    return tuple(notes)
