"""Is a nearest neighbor any nearer than the rest?"""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, quantile
from offmap.figures import Histogram
from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.dimension_reading import likelihood_or_none
from offmap.measures.geometry.spread import row_blocks, spread_of
from offmap.numerics.concentration import equivalent_dimension, gaussian_nearness
from offmap.reading import Reading
from offmap.run import Split

NEAR, ALIKE = 0.5, 0.8  # below, the nearest is near whatever the noise; above, it hardly is
MANY = 1e6  # dimensions of noise beyond which the equivalent is not sought
BINS = 40


@measure(
    asks="Is the nearest training example any nearer than a typical one?",
    unit="nearest distance over typical distance",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="0.4: the nearest example is at less than half of the typical distance, and nearest "
    "neighbors mean something. 0.9, near the null: all examples are about equally far, as in "
    "noise of as many dimensions, and distance says nothing.",
    caution="Of raw inputs: one feature in large units makes the contrast its own. Clusters that "
    "lie far apart make every nearest example look near. It shrinks slowly with the number of "
    "training examples: compare at the same number.",
    next_step="Where it comes near the null, read nothing that rests on raw distances (neighbor "
    "distance, contamination, lookup): use their twins in feature space, or scale and reduce "
    "the inputs first.",
    paper=Paper("Beyer et al. 1999", "https://doi.org/10.1007/3-540-49257-7_15"),
)
def distance_concentration(
    split: Split, train: Split, neighbors: TrainNeighbors, train_neighbors: TrainNeighbors
) -> Reading:
    r"""Median over examples of the distance to the nearest of train over the typical one.

    .. math:: \min_j \lVert x - x_j \rVert \big/ \Big( \tfrac1n \sum_j \lVert x - x_j \rVert^2
        \Big)^{1/2}

    the inverse of the relative contrast. The mean square distance is exact: the squared distance to
    the mean plus the total variance. The null is the exact value for n Gaussian points in as many
    dimensions as inputs have numbers that vary, from the noncentral chi-square law; the parts add
    it for the intrinsic dimension of train, and the dimension in which such noise reads as the
    split does.

    Args:
        split: The examples to read.
        train: What the network was trained on.
        neighbors: Of the split.
        train_neighbors: Of training examples among the others.

    Raises:
        CannotMeasure: If all training inputs are equal, or fewer than 6 examples are read.
    """
    center, variance, varying = spread_of(train.table)
    if varying == 0:
        raise CannotMeasure("all training inputs are equal: no distance is typical")
    square = torch.cat([
        (block - center).square().sum(dim=1) for block in row_blocks(split.table)
    ])  # fmt: skip
    rows = (neighbors.distance[:, 0] / (square + variance).sqrt()).clamp_max(1.0)  # rounding
    headline, null = quantile(rows), exact(gaussian_nearness(varying, len(train)), len(train))
    parts = _equivalents(headline, len(train))
    dimension = likelihood_or_none(train_neighbors)
    if dimension is not None:
        ends = [
            gaussian_nearness(d, len(train))
            for d in (dimension.value, dimension.low, dimension.high)
        ]
        parts["Gaussian noise of the intrinsic dimension"] = Estimate(
            ends[0], min(ends), max(ends), dimension.method, dimension.n
        )
    return Reading(
        headline,
        null=null,
        parts=parts,
        per_example=rows,
        figures=(_histogram(split.name, rows),),
        notes=_notes(headline, null),
    )


def _equivalents(headline: Estimate, n: int) -> dict[str, Estimate]:
    """The dimension of Gaussian noise that reads the same; none for copies, or from afar."""
    if not 0 < headline.low <= headline.high < gaussian_nearness(MANY, n):
        return {}
    found = [equivalent_dimension(at, n) for at in (headline.value, headline.low, headline.high)]
    equivalent = Estimate(found[0], found[1], found[2], headline.method, headline.n)
    return {"dimensions of Gaussian noise that reads the same": equivalent}


def _notes(headline: Estimate, null: Estimate) -> tuple[str, ...]:
    if headline.low > NEAR and headline.high >= null.value:
        return (
            f"The nearest training example is no nearer than in noise ({null.value:.3g} of the "
            "typical distance): distances between these inputs say nothing.",
        )
    if headline.low > ALIKE:
        return (
            f"The nearest training example is at {headline.value:.0%} of the typical distance: "
            "read with care what rests on distances between inputs.",
        )
    return ()


def _histogram(name: str, rows: Float64[Tensor, " n"]) -> Histogram:
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.double)
    counts, _ = torch.histogram(rows, edges)
    return Histogram(
        "How near the nearest training example is",
        "nearest distance over typical distance",
        edges,
        {name: counts},
    )
