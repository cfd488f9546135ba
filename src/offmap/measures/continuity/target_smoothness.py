"""How fast does the target change over the inputs?"""

import math

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import CONFIDENCE, TAIL, Estimate, dkw_band, proportion, quantile
from offmap.figures import Curve, Gallery
from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.continuity.class_distance import class_distances, shuffled_distance
from offmap.reading import Reading
from offmap.run import Split

LEVELS = (0.9, 0.99)  # quantiles of the slope beside the median
POINTS = 101  # of the curve
SHOWN = 12  # pairs in the gallery


def distances_by_class(split: Split, train: Split) -> Float64[Tensor, "n 3"]:
    """Distances to the nearest training example of the same class and of another, and its row.

    Args:
        split: The examples to read.
        train: Where to look.

    Returns:
        Three numbers for each example; NaN where the targets are no classes.
    """
    if not _are_classes(split) or not _are_classes(train):
        return torch.full((len(split), 3), torch.nan, dtype=torch.float64)
    found = class_distances(split, train)
    return torch.stack([found.same, found.other, found.other_row.double()], dim=1)


def _are_classes(split: Split) -> bool:
    targets = split.known_targets
    return targets is not None and not targets.is_floating_point() and targets.ndim == 1


@measure(
    asks="How much does the target change for a step of the input, at the least?",
    unit="change per unit of input",
    span=(0.0, math.inf),
    better="lower",
    cost=Cost.WEIGHTS,
    read="Classes: 0.5 says that another class lies at a distance of 2, for a change of class "
    "counts as 1. Regression: 3 says that among neighbors the target changes 3 times as much as "
    "the input. A network that fits must be as steep. At the null, that of shuffled targets, place "
    "says nothing of the target, and no smooth function fits.",
    caution="A lower bound: the target may change faster where no two examples lie close. Noise "
    "and wrong labels make close pairs arbitrarily steep, so the largest values are about errors "
    "and the median is about the target.",
    next_step="Look at the steepest pairs for wrong targets. Where the median is near the null, "
    "the inputs (or their units) do not hold what decides the target: add or rescale features.",
    paper=Paper(
        "von Luxburg & Bousquet 2004", "https://hdl.handle.net/11858/00-001M-0000-0013-D8C5-8"
    ),
    per_example=distances_by_class,
)
def target_smoothness(
    split: Split,
    train: Split,
    neighbors: TrainNeighbors,
    per_example: Float64[Tensor, "n 3"],
    *,
    generator: torch.Generator,
) -> Reading:
    r"""Median over examples of the target's steepest slope to a training example.

    .. math:: \max_j \frac{\lVert y_i - y_j \rVert}{\lVert x_i - x_j \rVert_2}

    For classes a change counts as one, so it is one over the distance to the nearest training
    example of another class. For numbers the steepest of the nearest neighbors counts. Examples
    that equal a training example with another target have no slope and are counted apart. The
    null has the training targets shuffled.

    The parts add the certified radius of 1-NN: an input keeps its 1-NN class until it has moved
    half the difference of its distances to the other classes and to its own.

    Args:
        split: The examples to read, with targets.
        train: What they are compared with.
        neighbors: Of the split.
        per_example: Distances to both kinds of training examples.
        generator: Source of the shuffling.

    Raises:
        CannotMeasure: If there are no targets, or fewer than six examples have a slope.
    """
    if train.known_targets is None or split.known_targets is None:
        raise CannotMeasure("there are no targets but the inputs themselves")
    order = torch.randperm(len(train), generator=generator)
    figures: tuple[Curve, ...] = ()
    if _are_classes(train):
        same, other, row = per_example.unbind(dim=1)
        slope, row, conflict = other.reciprocal(), row.long(), other == 0
        labels = train.known_targets.long()[order]
        mine = labels[torch.randint(len(labels), (len(split),), generator=generator)]
        chance = shuffled_distance(neighbors, mine, labels).reciprocal()
        parts, figures = _one_nearest((other - same) / 2)
    else:
        slope, row, conflict = _slopes(split.known_targets, train.known_targets, neighbors)
        chance, _, _ = _slopes(split.known_targets, train.known_targets[order], neighbors)
        parts = {}
    slope = slope.where(slope.isfinite(), torch.nan)
    known, chance = slope[~slope.isnan()], chance[chance.isfinite()]
    for level in LEVELS:
        if level ** len(known) < TAIL:
            parts[f"{level:.0%} quantile"] = quantile(known, level)
    parts["equal to a training example with another target"] = proportion(
        int(conflict.sum()), len(conflict)
    )
    return Reading(
        quantile(known),
        null=quantile(chance),
        parts=parts,
        per_example=slope,
        figures=(*figures, _gallery(split, train, slope, row)),
        notes=_notes(split, conflict),
    )


def _slopes(
    mine: Tensor, theirs: Tensor, neighbors: TrainNeighbors
) -> tuple[Float64[Tensor, " n"], Int64[Tensor, " n"], Bool[Tensor, " n"]]:
    """Steepest slope to a neighbor, its row, and whether an equal input has another target."""
    gap = theirs.double()[neighbors.index].flatten(2) - mine.double().flatten(1)[:, None]
    change = gap.norm(dim=2)  # [n, k]
    apart = neighbors.distance > 0
    slope = (change / neighbors.distance).where(apart, -1.0)
    steepest, place = slope.max(dim=1)
    row = neighbors.index.gather(1, place[:, None])[:, 0].long()
    conflict = ((change > 0) & ~apart).any(dim=1)
    return steepest.where(steepest >= 0, torch.nan), row, conflict


def _one_nearest(
    radius: Float64[Tensor, " n"],
) -> tuple[dict[str, Estimate], tuple[Curve, ...]]:
    """What 1-NN gets right, and how far inputs can move before that can change."""
    right = radius[radius > 0]
    parts = {"1-NN: accuracy": proportion(len(right), len(radius))}
    if len(right) < 6:  # the least for an interval of a median
        return parts, ()
    parts["1-NN: median certified radius where it is right"] = quantile(right)
    x = torch.linspace(0, right.max().item(), POINTS, dtype=torch.float64)
    beyond = torch.searchsorted(right.sort().values, x, right=True)
    share = (len(right) - beyond).double() / len(radius)
    band = dkw_band(len(radius), CONFIDENCE)
    curve = Curve(
        "1-NN: right whatever happens within a radius",
        "radius", "share of examples", x, {"": share},
        {"": (share - band).clamp_min(0)}, {"": (share + band).clamp_max(1)},
    )  # fmt: skip
    return parts, (curve,)


def _gallery(
    split: Split, train: Split, slope: Float64[Tensor, " n"], row: Int64[Tensor, " n"]
) -> Gallery:
    """The steepest pairs."""
    steep = slope.nan_to_num(-1.0).argsort(descending=True, stable=True)[:SHOWN]
    names = split.class_names

    def said(target: Tensor) -> str:
        if target.numel() != 1:
            return f"{target.numel()} numbers"
        return f"{target.item():.4g}" if names is None else names[int(target)]

    return Gallery(
        "Where the target changes fastest",
        (split.name, "train"),
        torch.stack([steep, row[steep]], dim=1),
        tuple(
            f"{said(split.targets[i])} and {said(train.targets[j])}, slope {slope[i].item():.3g}"
            for i, j in zip(steep.tolist(), row[steep].tolist(), strict=True)
        ),
    )


def _notes(split: Split, conflict: Bool[Tensor, " n"]) -> tuple[str, ...]:
    rows = conflict.nonzero().flatten().tolist()
    if not rows:
        return ()
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    listed = ", ".join(map(str, rows[:10]))
    return (f"{split.name} equals a training example with another target at rows {listed}{more}.",)
