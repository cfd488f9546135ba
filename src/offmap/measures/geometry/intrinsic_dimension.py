"""On how many dimensions do the training inputs lie?"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.estimate import Estimate, exact
from offmap.figures import Bars
from offmap.inputs import MEMORY_SHARE, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.dimension_reading import (
    by_distance,
    disagreement,
    estimate,
    gaussian_cloud,
    likelihood,
    looked_up,
    remarks,
    scale_curve,
)
from offmap.numerics.dimension import LEAST, Neighborhoods, local_dimensions, local_pca
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="On how many dimensions do the training inputs lie, however many numbers describe one?",
    unit="dimensions",
    span=(0.0, math.inf),
    better="neither",
    cost=Cost.FORWARD,
    read="2: a sheet, however wrinkled, in however many pixels. 12, as MNIST: halving the distance "
    "to the nearest example takes 2^12 = 4,096 times the data. As high as the null, a Gaussian "
    "cloud of the same covariance: no sheet is seen, only directions that vary less than others.",
    caution="Above 10 every estimator reads too little, the more so the fewer the data: 20 "
    "dimensions read 15 to 18 from 2,000 points, 70 read 35 to 40. The interval holds chance "
    "alone, not that. Noise adds dimensions at the finest scale, curvature at coarse ones: trust "
    "a dimension that the scale curve keeps. Local PCA cannot read more than a third of its "
    "neighbors.",
    next_step="Compare it with the number of inputs: far below, data are denser than the inputs "
    "suggest, and nearest neighbors and guards on distance can work. If it is high, no amount of "
    "data fills the space: build invariances in, or augment.",
    paper=Paper("Pope et al. 2021", "https://arxiv.org/abs/2104.08894"),
)
def intrinsic_dimension(
    train: Split,
    train_neighbors: TrainNeighbors,
    *,
    k: int = 20,
    examples: int = 1000,
    generator: torch.Generator,
) -> Reading:
    r"""Intrinsic dimension of the training inputs, by maximum likelihood.

    .. math:: \hat d^{-1} = \frac1m \sum_i \frac1{k-1} \sum_{j<k} \log \frac{r_k(x_i)}{r_j(x_i)}

    Levina and Bickel's estimate, averaged over examples as MacKay and Ghahramani do. The parts add
    TwoNN, Gride over scales, and local PCA, all from one neighbor search. The interval counts that
    examples share their neighbors. Each example gets the estimate from its own neighbors.

    The null is the same estimate for a Gaussian cloud with the covariance, and the number, of the
    training inputs: an ellipsoid that is not curved anywhere.

    Args:
        train: What the network was trained on.
        train_neighbors: Of training examples among the others.
        k: Neighbors that the estimate uses.
        examples: How many examples the covariance and local PCA are taken from; fewer where they
            exceed an eighth of the memory.
        generator: Source of the Gaussian cloud.

    Raises:
        ValueError: If k < 3 or fewer than 50 examples are asked for.
        CannotMeasure: If there are fewer than 50 training examples, or more than one in 20 is a
            copy, or equally far from its first two neighbors, as on a lattice.
    """
    if k < 3 or examples < LEAST:
        raise ValueError(f"expected k >= 3 and examples >= {LEAST}, got {k} and {examples}")
    near = looked_up(train_neighbors, "training inputs")
    most = train.memory // MEMORY_SHARE // max(1, train.table.row_bytes)
    few = _evenly(near, max(LEAST, min(examples, most)))
    values = train.take(few.rows).inputs.flatten(1)
    cloud = gaussian_cloud(values, len(train), k=near.k, memory=train.memory, generator=generator)
    headline = likelihood(near, k=k)
    parts = by_distance(near, k=k)
    parts["local PCA"] = estimate(local_pca(train.table, few, k=k))
    spread = disagreement(parts)
    found = parts | {"Gaussian cloud": likelihood(cloud, k=k)}
    return Reading(
        headline,
        null=found["Gaussian cloud"],
        parts=parts | {"largest estimate over smallest": spread, **_numbers(values)},
        per_example=_local(near, len(train), k),
        figures=(scale_curve(near, cloud), Bars("Dimension by estimator", "dimensions", found)),
        notes=remarks(headline, spread, near.copies, f"{len(train_neighbors.rows):,} inputs"),
    )


def _evenly(near: Neighborhoods, examples: int) -> Neighborhoods:
    """Some of the points, evenly spaced: rows may be sorted by class."""
    chosen = torch.linspace(0, len(near) - 1, min(examples, len(near))).long()
    return Neighborhoods(near.rows[chosen], near.distance[chosen], near.index[chosen], near.copies)


def _numbers(values: Tensor) -> dict[str, Estimate]:
    varies = (values != values[0]).any(dim=0)
    return {"numbers of an input that vary": exact(int(varies.sum()), len(values))}


def _local(near: Neighborhoods, n: int, k: int) -> Float64[Tensor, " n"]:
    """The dimension around each training example; NaN where it was not looked up."""
    rows = torch.full((n,), torch.nan, dtype=torch.double)
    if near.k >= 3:
        local = local_dimensions(near, k=k)
        rows[near.rows] = torch.where(local.isfinite(), local, torch.nan)
    return rows
