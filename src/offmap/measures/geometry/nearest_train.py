"""Distances to the nearest training example, set against those within the training split."""

from math import sqrt

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.estimate import Estimate, dkw_band, exact, proportion, quantile, ratio
from offmap.figures import Curve, Gallery
from offmap.inputs import TrainNeighbors
from offmap.reading import Reading
from offmap.run import Split

LEVEL = 0.95  # of the training distances, beyond which an example counts as outside
POINTS = 101  # of a coverage curve
SHOWN = 40  # examples in the gallery


def distance_reading(
    split: Split, neighbors: TrainNeighbors, train_neighbors: TrainNeighbors
) -> Reading:
    """The share of a split that is farther from train than 95 % of train is from the rest of it.

    Raises:
        CannotMeasure: If fewer than 72 training examples have neighbors: too few for a quantile.
    """
    theirs = neighbors.distance[:, 0]
    own = train_neighbors.distance[:, 0]
    edge = quantile(own, LEVEL)
    far = theirs.argsort(descending=True)[:SHOWN]
    shown = torch.stack([neighbors.rows[far].long(), neighbors.index[far, 0].long()], dim=1)
    return Reading(
        share_beyond(theirs, edge),
        null=exact((own > edge.value).double().mean().item(), len(own)),
        parts={"reference distance": edge, **_comparison(theirs, own)},
        per_example=theirs,
        figures=(
            _coverage(split.name, theirs, own),
            Gallery(
                f"The farthest examples of {split.name}, each beside its nearest in train",
                (split.name, "train"),
                shown,
                tuple(f"distance {distance:.3g}" for distance in theirs[far].tolist()),
            ),
        ),
        notes=(
            f"Row {int(shown[0, 0])} of {split.name} is the farthest from train, at a distance of "
            f"{theirs[far[0]].item():.3g}; {LEVEL:.0%} of the training examples have another "
            f"within {edge.value:.3g}.",
        ),
    )


def share_beyond(distances: Float64[Tensor, " n"], edge: Estimate) -> Estimate:
    """The share of distances beyond an edge that is itself estimated.

    Two sources of error are added in squares (as `difference` does): the examples, by the exact
    interval of a proportion, and the edge, by the shares beyond both ends of its interval.
    """

    def count(at: float) -> int:
        return int((distances > at).sum())

    n = len(distances)
    here, most, least = proportion(count(edge.value), n), count(edge.low) / n, count(edge.high) / n
    low = here.value - sqrt((here.value - here.low) ** 2 + (here.value - least) ** 2)
    high = here.value + sqrt((here.high - here.value) ** 2 + (most - here.value) ** 2)
    return Estimate(here.value, max(0.0, low), min(1.0, high), "proportion", n)


def _comparison(theirs: Float64[Tensor, " n"], own: Float64[Tensor, " m"]) -> dict[str, Estimate]:
    """How the two laws of distances differ in the middle, at zero, and anywhere."""
    parts = {"exactly at a training example": proportion(int((theirs == 0).sum()), len(theirs))}
    if len(theirs) >= 6:  # the least for an interval of a median
        middle = quantile(theirs)
        parts["median distance"] = middle
        relative = ratio(middle, quantile(own))
        if relative is not None:
            parts["median distance, over that within train"] = relative
    both = torch.cat([theirs, own]).sort().values
    gap = (share_within(theirs, both) - share_within(own, both)).abs().max().item()
    # Each band holds at 97.5 %, so both do at 95 %.
    slack = dkw_band(len(theirs), 0.975) + dkw_band(len(own), 0.975)
    parts["largest gap between the coverage curves"] = Estimate(
        gap, max(0.0, gap - slack), min(1.0, gap + slack), "bound", len(theirs)
    )
    return parts


def share_within(
    distances: Float64[Tensor, " n"], radius: Float64[Tensor, " m"]
) -> Float64[Tensor, " m"]:
    """For each radius, the share of distances that do not exceed it."""
    return torch.searchsorted(distances.sort().values, radius, right=True).double() / len(distances)


def _coverage(name: str, theirs: Float64[Tensor, " n"], own: Float64[Tensor, " m"]) -> Curve:
    """Share within a distance of train, by that distance, with uniform bands."""
    both = torch.cat([theirs, own]).sort().values
    radius = both[torch.linspace(0, len(both) - 1, POINTS).long()].unique()
    sides = {name: theirs, "train, itself left out": own}
    series = {side: share_within(values, radius) for side, values in sides.items()}
    return Curve(
        "Coverage: how much lies within a distance of train",
        "distance",
        "share within",
        radius,
        series,
        low={s: (y - dkw_band(len(sides[s]))).clamp_min(0) for s, y in series.items()},
        high={s: (y + dkw_band(len(sides[s]))).clamp_max(1) for s, y in series.items()},
    )
