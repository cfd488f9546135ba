"""How far outside the convex hull of the training inputs does the split lie?"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, area, mean, proportion, quantile
from offmap.figures import Gallery, Histogram
from offmap.inputs import ClassPredictions, Predictions, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.inside import decided, hull_budget, sampled
from offmap.measures.geometry.spread import spread_of
from offmap.numerics.hull import Membership
from offmap.numerics.ranking import auroc_influence
from offmap.reading import Reading
from offmap.run import Split
from offmap.table import Subset, Table

NEEDED = 10  # hits, and mistakes, without which an area means nothing
LEAST = 60  # training examples, a tenth of which is held out
BINS = 40
HELD = 8  # training inputs of up to this part of the budget are held in memory
SHOWN = 12


@measure(
    asks="How far outside the convex hull of the training inputs does this split lie?",
    unit="root-mean-square radii of train",
    span=(0.0, math.inf),
    better="lower",
    cost=Cost.FORWARD,
    read="0: at least half of the examples lie between training examples. 0.4: the middle example "
    "lies outside by 0.4 of the typical distance between a training example and their mean. Near "
    "the null: no farther than fresh examples of train's own source.",
    caution="In many dimensions every example is outside, and that alone is no risk: look at the "
    "areas among the parts for whether distance sees error, and whether it sees more than the "
    "distance to the nearest example. Far along a direction that the network ignores is harmless.",
    next_step="Look at the farthest examples. Where the distance sees error, have a guard refuse "
    "inputs beyond that of 95 % of the test split; where it does not, guard by another score.",
    paper=Paper("Yousefzadeh 2021", "https://arxiv.org/abs/2101.09849"),
)
def hull_distance(
    split: Split,
    train: Split,
    neighbors: TrainNeighbors,
    all_predictions: Mapping[str, Predictions],
    *,
    examples: int = 200,
    gap: float = 0.05,
    generator: torch.Generator,
) -> Reading:
    r"""Median Euclidean distance to the convex hull of the training inputs, over their radius.

    .. math:: \min_{\lambda \ge 0,\, \sum \lambda = 1} \lVert x - \sum_i \lambda_i x_i \rVert_2
        / \sqrt{\operatorname{mean}_i \lVert x_i - \bar x \rVert_2^2}

    Each distance is known between two proved bounds, at most `gap` apart relative to itself (the
    upper one no more than the distance to the nearest training example, which is in the hull); the
    intervals of the median and of the areas count both. The null is the same of training examples
    that are held out, at most a tenth of them, against the hull of the rest. The parts say how well
    the distance tells mistakes from hits (for other tasks than classification: errors above their
    median from those below).

    Args:
        split: The examples to read.
        train: What the network was trained on.
        neighbors: Of the split: the distance that this one competes with.
        all_predictions: Whose errors it might see.
        examples: How many examples of the split are looked at, drawn at random.
        gap: Relative width up to which the bounds of a distance are tightened.
        generator: Source of that draw.

    Returns:
        `per_example` is the middle of both bounds; NaN where an example was not drawn.

    Raises:
        ValueError: If examples < 1 or gap <= 0.
        CannotMeasure: If there are fewer than 60 training examples, they are all equal, or their
            hull takes more than the memory budget.
    """
    if gap <= 0:
        raise ValueError(f"expected gap > 0, got {gap}")
    if len(train) < LEAST:
        raise CannotMeasure(f"needs at least {LEAST} training examples, got {len(train)}")
    radius = spread_of(train.table).radius
    if radius == 0:
        raise CannotMeasure("all training examples are equal: their hull is a point")
    rows = sampled(len(split), examples, generator)
    budget = hull_budget(len(train), math.prod(train.shape), train.memory)
    nearest = neighbors.distance[rows, 0].cpu() / radius
    points = train.table
    if points.nbytes <= train.memory // HELD:  # then it is read once, not at every look
        points = points.all()
    found = decided(points, split.table.take(rows), budget, gap=gap)
    bounds = _bounds(found, radius, nearest)
    own = _held_out(points, radius, min(examples, len(train) // 10), gap, budget, generator)
    parts = {
        "inside": proportion(int(found.inside.sum()), len(rows)),
        "median distance to the nearest training example": quantile(nearest),
    }
    predictions = all_predictions.get(split.name)
    if predictions is not None:
        parts |= _sees_error(predictions, rows, bounds, nearest)
    middle = bounds.middle
    column = torch.full((len(split),), torch.nan, dtype=torch.double)
    column[rows] = middle
    far = middle.argsort(descending=True)[:SHOWN]
    return Reading(
        bounds.median,
        null=own.median,
        parts=parts,
        per_example=column,
        figures=(
            _histogram({split.name: middle, "train, held out": own.middle}),
            _gallery(split.name, rows[far], middle[far], neighbors),
        ),
        notes=(
            f"Row {int(rows[far[0]])} of {split.name} is the farthest from the hull among "
            f"{len(rows):,} examples looked at: {middle[far[0]].item():.3g} radii.",
        ),
    )


class _Bounds(NamedTuple):
    """Distances that are known between two bounds."""

    low: Float64[Tensor, " m"]
    high: Float64[Tensor, " m"]

    @property
    def middle(self) -> Float64[Tensor, " m"]:
        """Half-way between the bounds."""
        return (self.low + self.high) / 2

    @property
    def median(self) -> Estimate:
        """Their median; the interval counts the bounds."""
        least, most = quantile(self.low), quantile(self.high)
        middle = (least.value + most.value) / 2
        return Estimate(middle, least.low, most.high, "quantile", len(self.low))


def _bounds(
    found: Membership, radius: float, most: Float64[Tensor, " m"] | float = math.inf
) -> _Bounds:
    """In radii, and no more than `most`; those inside are at 0, whatever rounding leaves."""
    low = found.distance_low.cpu() / radius
    high = found.distance_high.masked_fill(found.inside, 0).cpu() / radius
    return _Bounds(low, high.clamp(max=most).maximum(low))


def _held_out(
    points: Table | Tensor,
    radius: float,
    count: int,
    gap: float,
    budget: int,
    generator: torch.Generator,
) -> _Bounds:
    """Distances of some training examples to the hull of the rest."""
    order = torch.randperm(len(points), generator=generator)
    held, rest = order[:count].sort().values, order[count:].sort().values
    if isinstance(points, Tensor):
        found = decided(points[rest], points[held], budget, gap=gap)
    else:  # read in tiles: no copy of train
        found = decided(Subset(points, rest), points.take(held), budget, gap=gap)
    return _bounds(found, radius)


def _sees_error(
    predictions: Predictions,
    rows: Int[Tensor, " m"],
    distance: _Bounds,
    nearest: Float64[Tensor, " m"],
) -> dict[str, Estimate]:
    """Whether it tells mistakes from hits, and better than the nearest example does.

    The area is lowest where mistakes are as near, and hits as far, as their bounds allow.
    """
    error = predictions.error.cpu()[rows]
    wrong = error > (0 if isinstance(predictions, ClassPredictions) else error.median())
    if min(int(wrong.sum()), int((~wrong).sum())) < NEEDED:
        return {}
    low, high = distance
    scores = (torch.where(wrong, low, high), distance.middle, torch.where(wrong, high, low))
    rival = _pulls(nearest, wrong)
    mine = [_pulls(score, wrong) for score in scores]
    return {
        "AUROC for error": _between(*(area(rows, wrong) for rows in mine)),
        "AUROC for error, nearest training example": area(rival, wrong),
        "hull minus nearest, AUROC": _between(*(mean(rows - rival) for rows in mine)),
    }


def _pulls(score: Float64[Tensor, " m"], wrong: Bool[Tensor, " m"]) -> Float64[Tensor, " m"]:
    """One number for each example, whose mean is the area (DeLong et al. 1988)."""
    area, influence = auroc_influence(score, wrong)
    return area + influence


def _between(low: Estimate, middle: Estimate, high: Estimate) -> Estimate:
    """What holds from the lowest to the highest that it can be."""
    return Estimate(middle.value, low.low, high.high, middle.method, middle.n)


def _histogram(groups: Mapping[str, Float64[Tensor, " _"]]) -> Histogram:
    """Shares in common bins."""
    top = max(values.max().item() for values in groups.values())
    edges = torch.linspace(0, top or 1.0, BINS + 1, dtype=torch.double)
    counts = {k: torch.histogram(values, edges)[0] / len(values) for k, values in groups.items()}
    return Histogram("Distance to the hull of train", "root-mean-square radii", edges, counts)


def _gallery(
    name: str,
    rows: Int[Tensor, " k"],
    distance: Float64[Tensor, " k"],
    neighbors: TrainNeighbors,
) -> Gallery:
    """The farthest, each beside its nearest training example."""
    pairs = torch.stack([rows, neighbors.index[rows, 0].cpu().long()], dim=1)
    return Gallery(
        f"The examples of {name} farthest from the hull, each beside its nearest in train",
        (name, "train"),
        pairs,
        tuple(f"{value:.3g} radii from the hull" for value in distance.tolist()),
    )
