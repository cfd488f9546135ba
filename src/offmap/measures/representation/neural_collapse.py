"""How far is the last layer from its ideal geometry?"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, mean, proportion
from offmap.figures import Histogram, Matrix
from offmap.inputs import ClassPredictions, Features
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading

RESOLUTION = 1e-12  # of variances between classes, relative to the largest; below it is rounding
MATRIX = 40  # classes up to which all pairs are shown


class Geometry(NamedTuple):
    """Class means about their mean, and where each example lies among them."""

    classes: Int[Tensor, " c"]
    means: Float64[Tensor, "c d"]
    spread: Float64[Tensor, " n"]  # NaN where a class has a single example
    nearest: Int[Tensor, " n"]


@measure(
    asks="How much do training features vary within classes, compared with between them?",
    unit="ratio of variances",
    span=(0.0, math.inf),
    better="neither",
    cost=Cost.FORWARD,
    read="0: every class is one point, as after training far beyond zero error. 0.4, as in a "
    "small network at the usual end of training: classes are clouds that stand apart. At the "
    "null: features know nothing of the classes.",
    caution="Says nothing of fresh data: networks collapse on random labels as well. Grows when a "
    "single pair of classes comes close, because it is weighed by the inverse of the variance "
    "between classes. The interval takes the class means as they are.",
    next_step="Look at the pair of classes with the largest cosine: they share a direction. If "
    "little is collapsed and training error is not zero, train longer; if all is, and test lags "
    "behind, regularize or stop earlier.",
    paper=Paper("Papyan et al. 2020", "https://arxiv.org/abs/2008.08186"),
)
def neural_collapse(
    train_features: Features,
    train_predictions: ClassPredictions,
    head: nn.Linear,
    *,
    generator: torch.Generator,
) -> Reading:
    r"""Within-class variability of the features of train, in units of the class means' spread.

    .. math:: \operatorname{tr}(S_W S_B^+) / C

    (NC1). The parts are the other three signs of collapse: class means at equal angles, cosine
    -1/(C-1), and of equal length (NC2); weights of the head along the class means (NC3); decisions
    those of the nearest class mean (NC4). Classes weigh equally in S_B, examples in S_W, which is
    unbiased. The null has the same features with permuted labels.

    Features are read in two passes; no matrix larger than classes x features is formed.

    Raises:
        CannotMeasure: If fewer than two classes, or no class with two examples, are in train, or
            all class means are equal.
    """
    targets = train_predictions.targets
    found = geometry(train_features, targets)
    permuted = targets[torch.randperm(len(targets), generator=generator)]
    cosines, equal_norms = _simplex(found.means)
    ideal = -1 / (len(found.classes) - 1)
    disagree = found.classes[found.nearest] != train_predictions.labels
    apart = ~torch.eye(len(cosines), dtype=torch.bool)
    parts = {
        "NC2: mean distance of cosines from the simplex": exact(
            (cosines[apart] - ideal).abs().mean().item()
        ),
        "NC2: relative deviation of the means' lengths": exact(equal_norms),
        "NC4: share not decided by the nearest class mean": proportion(
            int(disagree.sum()), len(disagree)
        ),
    }
    notes = [_closest(cosines, found.classes, ideal)]
    if head.weight.shape == (train_predictions.logits.shape[1], train_features.dimension):
        weights = head.weight.detach().cpu().double()[found.classes]
        parts["NC3: distance of the head from the class means"] = exact(
            (_unit(weights - weights.mean(dim=0)) - _unit(found.means)).norm().item()
        )
    else:
        notes.append("The layer that reads the features is not the last: NC3 is left out.")
    return Reading(
        _variability(found.spread),
        null=_variability(geometry(train_features, permuted).spread),
        parts=parts,
        figures=(_figure(cosines, found.classes),),
        notes=tuple(notes),
    )


def geometry(features: Features, targets: Int[Tensor, " n"]) -> Geometry:
    r"""Class means and, for each example, :math:`\lVert S_B^{+1/2} (h - \mu) \rVert^2 / C`.

    The spread is scaled by n / (n - 1) of the example's class, for the class mean was fitted to it.

    Raises:
        CannotMeasure: If there are fewer than two classes, no class has two examples, or all class
            means are equal.
    """
    classes, label, size = targets.unique(return_inverse=True, return_counts=True)
    if len(classes) < 2 or int(size.max()) < 2:
        raise CannotMeasure(
            f"collapse is about classes and their examples: got {len(classes)} classes, "
            f"the largest of {int(size.max())} examples"
        )
    sums = torch.zeros(len(classes), features.dimension, dtype=torch.double)
    for chunk, mine in _labeled(features, label):
        sums.index_add_(0, mine, chunk)
    means = sums / size[:, None]
    center = means.mean(dim=0)
    means = means - center
    inner = means @ means.mT
    values, vectors = torch.linalg.eigh(inner)  # the eigenvalues of C S_B
    held = values > RESOLUTION * values[-1]
    if not bool(values[-1] > 0):
        raise CannotMeasure("all class means are equal: the features do not tell classes apart")
    # (h . means) @ whiten: coordinates of h in the span of the means in which C S_B is one.
    whiten = vectors[:, held] / values[held]
    spread, nearest = [], []
    for chunk, mine in _labeled(features, label):
        along = (chunk - center) @ means.mT  # [m, C]
        spread.append(((along - inner[mine]) @ whiten).square().sum(dim=1))
        nearest.append((along - inner.diagonal() / 2).argmax(dim=1))
    fitted = size[label].double()
    spread = torch.cat(spread) * fitted / (fitted - 1).where(fitted > 1, torch.nan)
    return Geometry(classes, means, spread, torch.cat(nearest))


def _labeled(
    features: Features, label: Int[Tensor, " n"]
) -> Iterator[tuple[Float64[Tensor, "m d"], Int[Tensor, " m"]]]:
    """The features piece by piece in float64, each piece with its labels."""
    start = 0
    for chunk in features.chunks():
        yield chunk.cpu().double(), label[start : start + len(chunk)]
        start += len(chunk)


def _variability(spread: Float64[Tensor, " n"]) -> Estimate:
    """NC1: the mean over the examples whose class has others."""
    found = mean(spread[~spread.isnan()])
    return Estimate(found.value, max(0.0, found.low), found.high, found.method, found.n)


def _simplex(means: Float64[Tensor, "c d"]) -> tuple[Float64[Tensor, "c c"], float]:
    """Cosines between class means, and how much their lengths vary, relative to the mean length."""
    length = means.norm(dim=1)
    directions = means / length.clamp_min(1e-300)[:, None]
    return directions @ directions.mT, (length.std(correction=0) / length.mean()).item()


def _unit(matrix: Float64[Tensor, "c d"]) -> Float64[Tensor, "c d"]:
    """The matrix over its Frobenius norm."""
    return matrix / matrix.norm().clamp_min(1e-300)


def _closest(cosines: Float64[Tensor, "c c"], classes: Int[Tensor, " c"], ideal: float) -> str:
    """The pair of classes whose means point most nearly the same way, in words."""
    off = cosines - 4 * torch.eye(len(cosines), dtype=torch.double)
    one, other = divmod(int(off.argmax()), len(cosines))
    return (
        f"Classes {classes[one]} and {classes[other]} are closest, at a cosine of "
        f"{cosines[one, other].item():.3g}; in the simplex all are at {ideal:.3g}."
    )


def _figure(cosines: Float64[Tensor, "c c"], classes: Int[Tensor, " c"]) -> Matrix | Histogram:
    """All cosines between class means, or their histogram where there are many classes."""
    names = tuple(str(name) for name in classes.tolist())
    if len(names) <= MATRIX:
        return Matrix("Cosines between class means", "class", "class", names, names, cosines)
    edges = torch.linspace(-1, 1, 81, dtype=torch.double)
    pairs = cosines[torch.ones_like(cosines).triu(1).bool()].clamp(-1, 1)
    return Histogram(
        "Cosines between class means", "cosine", edges, {"": torch.histogram(pairs, edges)[0]}
    )
