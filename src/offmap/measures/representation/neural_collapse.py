"""How far is the last layer from its ideal geometry?"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, mean, proportion, quantile
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
    permutations: int = 7,
    generator: torch.Generator,
) -> Reading:
    r"""Within-class variability of the features of train, in units of the class means' spread.

    .. math:: \operatorname{tr}(S_W S_B^+) / C

    (NC1). The parts are the other three signs of collapse: class means at equal angles, cosine
    -1/(C-1), and of equal length (NC2); weights of the head along the class means (NC3); decisions
    those of the nearest class mean (NC4). Classes weigh equally in S_B, examples in S_W, which is
    unbiased. The null is the median of the same over permutations of the labels: its law has no
    mean where features fill few dimensions.

    Features are read in two passes, and no matrix larger than classes x features is formed.

    Args:
        train_features: Of train.
        train_predictions: Of train.
        head: The layer that reads the features.
        permutations: How many permutations of the labels are behind the null.
        generator: Source of the permutations.

    Raises:
        ValueError: If fewer than six permutations are asked for.
        CannotMeasure: If fewer than two classes, or no class with two examples, are in train, or
            all class means are equal.
    """
    if permutations < 6:
        raise ValueError(f"expected permutations >= 6, got {permutations}")
    targets = train_predictions.targets
    orders = [torch.randperm(len(targets), generator=generator) for _ in range(permutations)]
    found, *blind = geometries(
        train_features, torch.stack([targets, *(targets[order] for order in orders)])
    )
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
        null=quantile(torch.stack([one.spread.nanmean() for one in blind])),
        parts=parts,
        figures=(_figure(cosines, found.classes),),
        notes=tuple(notes),
    )


def geometries(features: Features, targets: Int[Tensor, "r n"]) -> list[Geometry]:
    r"""Class means and, for each example, :math:`\lVert S_B^{+1/2} (h - \mu) \rVert^2 / C`.

    The spread is scaled by n / (n - 1) of the example's class, for the class mean was fitted to it.

    Args:
        features: Of the examples.
        targets: Labelings of the examples, permutations of one another: one geometry for each.

    Raises:
        CannotMeasure: If there are fewer than two classes, no class has two examples, or all class
            means are equal.
    """
    classes, size = targets[0].unique(return_counts=True)
    labels = torch.searchsorted(classes, targets)  # [r, n], from 0
    if len(classes) < 2 or int(size.max()) < 2:
        raise CannotMeasure(
            f"collapse is about classes and their examples: got {len(classes)} classes, "
            f"the largest of {int(size.max())} examples"
        )
    sums = torch.zeros(len(labels), len(classes), features.dimension, dtype=torch.double)
    for chunk, mine in _labeled(features, labels):
        for total, label in zip(sums, mine, strict=True):
            total.index_add_(0, label, chunk)
    centers = (sums / size[:, None]).mean(dim=1, keepdim=True)  # [r, 1, d]
    means = sums / size[:, None] - centers
    inner = means @ means.mT
    whiten = [_whitening(one) for one in inner]
    pieces = [[] for _ in labels]
    for chunk, mine in _labeled(features, labels):
        for r, label in enumerate(mine):
            along = (chunk - centers[r]) @ means[r].mT  # [m, C]
            spread = ((along - inner[r][label]) @ whiten[r]).square().sum(dim=1)
            pieces[r].append((spread, (along - inner[r].diagonal() / 2).argmax(dim=1)))
    found = []
    for r, label in enumerate(labels):
        spread, nearest = (torch.cat(column) for column in zip(*pieces[r], strict=True))
        n = size[label].double()
        fitted = (n / (n - 1)).masked_fill(n < 2, torch.nan)
        found.append(Geometry(classes, means[r], spread * fitted, nearest))
    return found


def _whitening(inner: Float64[Tensor, "c c"]) -> Float64[Tensor, "c rank"]:
    """Takes h . means to coordinates of h, in the span of the means, in which C S_B is one.

    Raises:
        CannotMeasure: If all class means are equal.
    """
    values, vectors = torch.linalg.eigh(inner)  # the eigenvalues of C S_B
    if not bool(values[-1] > 0):
        raise CannotMeasure("all class means are equal: the features do not tell classes apart")
    held = values > RESOLUTION * values[-1]
    return vectors[:, held] / values[held]


def _labeled(
    features: Features, labels: Int[Tensor, "r n"]
) -> Iterator[tuple[Float64[Tensor, "m d"], Int[Tensor, "r m"]]]:
    """The features piece by piece in float64, each piece with its labels."""
    start = 0
    for chunk in features.chunks():
        yield chunk.cpu().double(), labels[:, start : start + len(chunk)]
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
