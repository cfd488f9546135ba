"""How large are the holes between the training examples?"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, dkw_band, exact, mean, proportion, quantile, ratio
from offmap.figures import Curve
from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading
from offmap.run import Split

LEVELS = (0.5, 0.95, 0.99)
HOPELESS = 50  # doublings: more than 10^15 times the data
TAIL_POINTS = 101  # of the curve of radii
THINNED = 5  # neighbors without which half of train cannot be simulated: then one in 32 has none


@measure(
    asks="How far must one go from the training examples to reach all but a few of this split?",
    unit="times the median spacing of train",
    span=(0.0, math.inf),
    better="lower",
    cost=Cost.FORWARD,
    read="1.5: 95 % of the split lie within 1.5 times the distance that half of the training "
    "examples keep from their nearest other. In 10 evenly filled dimensions it is 1.16, in 2 it "
    "is 2.1. Twice the null: the split reaches into holes that train leaves open.",
    caution="The covering radius itself, over all inputs of the law, is never seen: the largest "
    "distance to a fresh example bounds it from below, and a share of 3 / n may lie farther out. "
    "Euclidean distance in raw inputs: being far is no error by itself.",
    next_step="Collect examples near the farthest rows, which train_neighbor_distance shows. The "
    "parts say what more data can do: where it takes many doublings to halve the distance, use "
    "augmentation, invariances or a refusal instead.",
    paper=Paper("Wendland 2004", "https://doi.org/10.1017/CBO9780511617539"),
)
def fill_distance(
    split: Split,
    neighbors: TrainNeighbors,
    train_neighbors: TrainNeighbors,
    *,
    level: float = 0.95,
) -> Reading:
    r"""Radius within which train covers a share of the split, over the median spacing of train.

    .. math:: \frac{Q_{0.95}(d(x))}{Q_{0.5}(d(x_i))}, \qquad d(x) = \min_j \lVert x - x_j \rVert_2

    with the training examples each left out of their own search. The null is the same for them:
    fresh examples of the training law have it too. Where the density is even in d dimensions,
    n V d(x)^d is exponential, and the value is (log 20 / log 2)^(1/d).

    What more data would do is read off the same search: the nearest neighbor in a random half of
    train is the j-th in all of it with probability 2^-j. Twice the data shrink the distance, in
    the geometric mean over examples, by 2^(-1/d); d doublings halve it.

    Args:
        split: The examples to read.
        neighbors: Of the split.
        train_neighbors: Of training examples among the others.
        level: The share to be covered.

    Raises:
        ValueError: If the level is not between 0 and 1.
        CannotMeasure: If the split is too small for the quantile (72 examples for 0.95), or half
            of the training examples have copies.
    """
    theirs, own = neighbors.distance[:, 0], train_neighbors.distance[:, 0]
    spacing = quantile(own)
    headline = ratio(quantile(theirs, level), spacing)
    if headline is None:
        raise CannotMeasure("the nearest distances reach zero: too many examples are copies")
    parts = _radii(theirs)
    parts["median spacing of train"] = spacing
    doublings = _doublings(neighbors.distance)
    notes: tuple[str, ...] = ()
    if doublings is not None:
        parts["doublings of train that halve the distance"] = doublings
        parts["with even density in so many dimensions"] = _even(doublings, level)
        notes = (_more_data(split.name, doublings),)
    return Reading(
        headline,
        null=exact(quantile(own, level).value / spacing.value, len(own)),
        parts=parts,
        figures=(
            _tail(split.name, theirs, own),
            _growth(split.name, neighbors.distance, parts),
        ),
        notes=notes,
    )


def _radii(theirs: Float64[Tensor, " n"]) -> dict[str, Estimate]:
    """Quantiles of the distance, and what is known beyond the largest."""
    parts = {}
    for share in LEVELS:
        if 1 - (1 - share) ** len(theirs) > 0.975 and 1 - share ** len(theirs) > 0.975:
            parts[f"radius that covers {share:.0%}"] = quantile(theirs, share)
    parts["largest seen: the covering radius is no less"] = exact(theirs.max().item(), len(theirs))
    parts["share that may lie farther than all seen"] = proportion(0, len(theirs))
    return parts


def _doublings(distance: Float64[Tensor, "n k"]) -> Estimate | None:
    """Doublings of the bank that halve the distance to it; None where they cannot be told."""
    logs = distance[distance[:, 0] > 0].log()
    if len(logs) < 2 or logs.shape[1] < THINNED:
        return None
    weights = _chances(0.5, logs.shape[1])
    gain = mean(logs @ weights - logs[:, 0])
    if gain.low <= 0:
        return None
    value, low, high = (math.log(2) / by for by in (gain.value, gain.high, gain.low))
    return Estimate(value, low, high, "mean", gain.n)


def _more_data(name: str, doublings: Estimate) -> str:
    if doublings.value > HOPELESS:
        return f"More training examples of the same law will not come nearer to {name}."
    return (
        f"At the rate seen, halving the distance from {name} to the nearest training example takes "
        f"2^{doublings.value:.3g} times as many training examples."
    )


def _chances(kept: float, k: int) -> Float64[Tensor, " k"]:
    """Chance that the j-th neighbor is the nearest of those kept, given that one of k is."""
    weights = kept * (1 - kept) ** torch.arange(k, dtype=torch.double)
    return weights / weights.sum()


def _even(dimension: Estimate, level: float) -> Estimate:
    """The headline where the density is even in so many dimensions."""
    spread = math.log(1 / (1 - level)) / math.log(2)
    ends = [spread ** (1 / d) for d in (dimension.value, dimension.low, dimension.high)]
    return Estimate(ends[0], min(ends), max(ends), "mean", dimension.n)


def _tail(name: str, theirs: Float64[Tensor, " n"], own: Float64[Tensor, " m"]) -> Curve:
    """Radius by the share to be covered, with the bands of Dvoretzky, Kiefer and Wolfowitz."""
    share = torch.linspace(0.5, 1, TAIL_POINTS, dtype=torch.double)
    series, low, high = {}, {}, {}
    for side, values in ((name, theirs), ("train, itself left out", own)):
        ranked, band = values.sort().values, dkw_band(len(values))
        series[side] = _radius(ranked, share)
        low[side] = _radius(ranked, (share - band).clamp_min(0))
        high[side] = _radius(ranked, share + band)
        if bool(high[side].isnan().all()):
            del low[side], high[side]
    return Curve(
        "Radius around train that covers a share", "share covered", "distance", share, series,
        low=low, high=high,
    )  # fmt: skip


def _radius(ranked: Float64[Tensor, " n"], share: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
    """Quantiles; NaN above 1, beyond all that was seen."""
    found = ranked[((share * len(ranked)).ceil().long() - 1).clamp(0, len(ranked) - 1)]
    return torch.where(share > 1, torch.nan, found)


def _growth(name: str, distance: Float64[Tensor, "n k"], parts: dict[str, Estimate]) -> Curve:
    """Radii for random parts of train, exactly, and for all of it."""
    shares = [kept for kept in (0.25, 0.5, 1.0) if kept == 1 or distance.shape[1] * kept >= 4]
    series = {}
    for level in LEVELS:
        if f"radius that covers {level:.0%}" in parts:
            found = [_thinned_quantile(distance, kept, level) for kept in shares]
            series[f"{name}, {level:.0%}"] = torch.tensor(found, dtype=torch.double)
    return Curve(
        "Radius around train by the number of training examples",
        "share of train that is kept",
        "distance",
        torch.tensor(shares, dtype=torch.double),
        series,
        log_x=True,
        log_y=True,
    )


def _thinned_quantile(distance: Float64[Tensor, "n k"], kept: float, level: float) -> float:
    """Quantile of the distance to a random part of train: each neighbor with its chance."""
    weights = _chances(kept, distance.shape[1]).expand(len(distance), -1).flatten()
    ranked, order = distance.flatten().sort()
    below = weights[order].cumsum(0) / len(distance)
    return ranked[int((below < level - 1e-12).sum())].item()
