"""How far the features lie outside the convex hull of training features, at least."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from offmap.attempt import InputError
from offmap.measure import Paper
from offmap.numerics.hull.bound import signed_distance_bound
from offmap.score import Known, score
from offmap.scores.rows import SHARE, Mapped, bank_of
from offmap.scores.spread import flat, spread_of


def _fit(
    known: Known, *, points: int = 2000, floor: float = 0.01, generator: torch.Generator
) -> dict[str, Tensor]:
    """Coordinates of unit variance, and training features in them that span much of the hull.

    Args:
        known: Where the features come from.
        points: Features to keep at most; half of them lie far from each other, half are a sample.
        floor: Variance, over the mean of all directions, that is the least to be divided by.
        generator: Source of those that are kept.

    Raises:
        ValueError: If a setting is out of range.
        InputError: If the features are too few, all the same, or too wide for the memory.
    """
    assert known.features is not None
    if points < 2 or not 0 < floor < math.inf:
        raise ValueError(f"expected points >= 2 and floor > 0, got {points} and {floor:g}")
    table, d = known.features.table, known.features.dimension
    if 8 * SHARE * d * d > known.memory:
        raise InputError(
            f"expected features of at most {int((known.memory / 8 / SHARE) ** 0.5):,} values for a "
            f"budget of {known.memory:,} bytes, got {d:,}: set feature_layer to a narrower layer"
        )
    found = spread_of(Mapped(table, flat), known.memory, generator=generator)
    variance = found.variance.clamp_min(floor * found.total / d)
    whitening = found.axes / variance.sqrt()
    rows = Mapped(table, lambda some: ((flat(some) - found.mean) @ whitening).float())
    kept = bank_of(rows, points, 1, known.memory, generator=generator)
    return {"mean": found.mean, "whitening": whitening, "points": kept.points}


@score(
    fit=_fit,
    says="How far the features are, at least, from everything between training features.",
    caution=(
        "In few dimensions a stranger between two classes is inside the hull and looks familiar; "
        "in many, fresh data are outside as well, and only how far says anything."
    ),
    paper=Paper(
        "Yousefzadeh (2021), Deep learning generalization and the convex hull of training sets",
        "https://arxiv.org/abs/2101.09849",
    ),
)
def hull_distance(
    features: Float[Tensor, "n d"],
    /,
    mean: Float64[Tensor, " d"],
    whitening: Float64[Tensor, "d d"],
    points: Float[Tensor, "m d"],
    *,
    steps: int = 12,
) -> Float64[Tensor, " n"]:
    r"""A lower bound on the distance to the hull of training features, in standard deviations.

    .. math:: \max_w \; \bigl(w^\top x - \max_i w^\top x_i\bigr) / \lVert w \rVert_2

    over the directions w that are tried. Every one of them proves what it says: that the hull is
    no nearer, or if it is negative, that x is no deeper inside; so inputs inside are ranked, too.
    Far outside it falls short of the distance by a few percent, close to the hull by a quarter or
    more; more steps come nearer. Distances are between features of unit variance in every
    direction; the hull is that of the features that were kept.

    Args:
        features: The features.
        mean: Of training.
        whitening: The map to unit variance.
        points: What spans the hull.
        steps: Directions that are tried, beside the principal ones.
    """
    return signed_distance_bound((flat(features) - mean) @ whitening, points, steps=steps)
