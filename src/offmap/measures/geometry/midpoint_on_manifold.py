"""Does what lies between two examples lie among the data?"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, mean
from offmap.figures import Bars, Gallery
from offmap.inputs import ClassPredictions, Layers, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.numerics.distances import squared_distances
from offmap.numerics.neighbors import search
from offmap.passes import evaluating, outputs
from offmap.reading import Reading
from offmap.run import Split

LEAST = 10  # pairs of one kind
MEMORY_SHARE = 4  # the search may take this part of the budget
SHOWN = 12  # pairs in the gallery


@measure(
    asks="Halfway between two examples of a class, is one still among the data?",
    unit="distances of real examples",
    span=(0.0, math.inf),
    better="neither",
    cost=Cost.FORWARD,
    read="1: midpoints lie as near to train as real test examples do. 1.4: 40 % farther off, in "
    "the empty inside of a curved sheet. A layer nearer to 1 than the inputs flattens the data. "
    "Below 1: the inside of the cloud is full, as in convex data.",
    caution="Averaging smooths, and in many dimensions what is smooth is nearer to everything: "
    "compare with pairs of different classes, whose midpoints are as smooth. The bars by layer "
    "compare with a sample of train, the headline with all of it, which makes it larger.",
    next_step="Where midpoints of inputs are far off and the network is sure of them, train with "
    "mixed examples (mixup) or have a guard refuse them. Interpolate, edit or augment in the layer "
    "whose midpoints stay nearest to the data.",
    paper=Paper("Berthelot et al. 2019", "https://arxiv.org/abs/1807.07543"),
)
def midpoint_on_manifold(
    model: nn.Module,
    train: Split,
    test: Split,
    test_predictions: ClassPredictions,
    test_neighbors: TrainNeighbors,
    test_layers: Layers,
    train_layers: Layers,
    *,
    pairs: int = 250,
    generator: torch.Generator,
) -> Reading:
    r"""Distance from midpoints of same-class test pairs to train, over that of their ends.

    .. math:: \frac{E\, d((x + x') / 2)}{E\, (d(x) + d(x')) / 2},
        \qquad d(x) = \min_j \lVert x - x_j \rVert_2

    The ends are held out, so that real examples read 1 by construction: the null. No example is in
    two pairs of a kind; the interval is over pairs and takes train as it is. The same is done
    with pairs of any two classes, and at each layer, with midpoints of the layer's outputs and a
    sample of train. The network is asked for the class of the midpoints of inputs.

    Args:
        model: The network.
        train: What the midpoints should be near to.
        test: Where the pairs come from.
        test_predictions: What the network says at the ends.
        test_neighbors: Distances of the ends.
        test_layers: The outputs of each layer for a sample of test: the ends come from it.
        train_layers: The same for a sample of train.
        pairs: Most pairs of each kind.
        generator: Source of the pairs.

    Raises:
        ValueError: If fewer than 10 pairs are asked for.
        CannotMeasure: If inputs are whole numbers, there are fewer than 10 pairs of either kind,
            or every end equals a training example.
    """
    if pairs < LEAST:
        raise ValueError(f"expected pairs >= {LEAST}, got {pairs}")
    if not test.table.dtype.is_floating_point:
        raise CannotMeasure(f"whole numbers ({test.table.dtype}) have no midpoint")
    targets = test_predictions.targets.cpu()
    real = torch.full((len(test),), torch.nan, dtype=torch.double)
    real[test_neighbors.rows] = test_neighbors.distance[:, 0].cpu()
    kinds = _pairs(targets[test_layers.rows], pairs, generator)  # [p, 2], places in the sample

    ratios, parts, galleries = {}, {}, []
    for kind, places in kinds.items():
        rows = test_layers.rows[places]  # [p, 2], rows of test
        middle = test.take(rows[:, 0]).inputs.lerp(test.take(rows[:, 1]).inputs, 0.5)
        found = search(middle, train.table, k=1, memory=train.memory // MEMORY_SHARE)
        ratio = _ratio(found.distance[:, 0].cpu(), real[rows].mean(dim=1))
        if ratio is None:
            raise CannotMeasure("test repeats train: real examples have no distance to compare")
        ratios[kind] = ratio
        said = ClassPredictions(_logits(model, middle), targets[rows[:, 0]])
        parts |= _said(kind, said, rows, test_predictions)
        galleries += _lost(said, rows, test_predictions) if kind == SAME else []
    stages = _stages(train, test_layers, train_layers)
    by_stage = [(name, _stage_ratios(*values, kinds)) for name, values in stages]
    return Reading(
        ratios[SAME],
        null=exact(1.0),
        parts={f"{OTHER}: distance of midpoints": ratios[OTHER], **parts},
        figures=(*(_bars(kind, by_stage) for kind in kinds), *galleries),
    )


SAME, OTHER = "same class", "different classes"


def _pairs(
    targets: Int64[Tensor, " m"], most: int, generator: torch.Generator
) -> dict[str, Int64[Tensor, "p 2"]]:
    """Disjoint pairs of places with one target, and disjoint pairs with two, at random.

    Raises:
        CannotMeasure: If there are fewer than 10 of either.
    """
    order = torch.randperm(len(targets), generator=generator)
    even = len(order) // 2 * 2
    any_two = order[:even].view(-1, 2)
    order = order[targets[order].argsort(stable=True)]  # by class, at random within it
    count = targets.bincount()
    place = torch.arange(len(order)) - (count.cumsum(0) - count)[targets[order]]
    first = (place[:-1] % 2 == 0) & (targets[order[:-1]] == targets[order[1:]])
    same = torch.stack([order[:-1][first], order[1:][first]], dim=1)
    same = same[torch.randperm(len(same), generator=generator)]
    other = any_two[targets[any_two[:, 0]] != targets[any_two[:, 1]]]
    for kind, found in ((SAME, same), (OTHER, other)):
        if len(found) < LEAST:
            raise CannotMeasure(f"needs {LEAST} pairs of {kind}, got {len(found)}")
    return {SAME: same[:most], OTHER: other[:most]}


def _ratio(middle: Float64[Tensor, " p"], ends: Float64[Tensor, " p"]) -> Estimate | None:
    """Mean distance of midpoints over that of their ends; None where ends have none.

    The interval is that of the ratio's linear part in each pair (the delta method).
    """
    scale = ends.mean()
    if not bool(scale > 0):
        return None
    value = middle.mean() / scale
    return mean(value + (middle - value * ends) / scale)


# ------------------------------------------------------------------------- what the network says


def _logits(model: nn.Module, inputs: Float[Tensor, "p ..."]) -> Float[Tensor, "p c"]:
    with evaluating(model):
        return torch.cat([out.cpu() for _, out in outputs(model, Split(inputs, name="midpoints"))])


def _said(
    kind: str, said: ClassPredictions, rows: Int64[Tensor, "p 2"], ends: ClassPredictions
) -> dict[str, Estimate]:
    """Whether midpoints keep the class of ends that the network gets right, and how surely."""
    confidence = ends.probs.amax(dim=1).cpu()[rows].mean(dim=1)
    parts = {
        f"{kind}: confidence at midpoints": mean(said.probs.amax(dim=1)),
        f"{kind}: confidence at the ends": mean(confidence),
    }
    right = ends.correct.cpu()[rows].all(dim=1)
    if bool(right.any()):
        known = (ends.targets.cpu()[rows] == said.labels[:, None]).any(dim=1)[right]
        parts[f"{kind}: midpoints that keep a class of the ends"] = mean(known.double())
    return parts


def _lost(
    said: ClassPredictions, rows: Int64[Tensor, "p 2"], ends: ClassPredictions
) -> list[Gallery]:
    """Pairs that the network gets right whose midpoint it takes for another class, surest first."""
    lost = ends.correct.cpu()[rows].all(dim=1) & ~said.correct
    sure = said.probs.amax(dim=1)
    chosen = sure.masked_fill(~lost, -1).argsort(descending=True)[: int(lost.sum())][:SHOWN]
    if not len(chosen):
        return []
    captions = [
        f"class {said.targets[p]}, halfway {said.labels[p]} ({sure[p].item():.2f})"
        for p in chosen.tolist()
    ]
    title = "Pairs of a class between which the network sees another"
    return [Gallery(title, ("test", "test"), rows[chosen], tuple(captions))]


# --------------------------------------------------------------------------------- layer by layer


def _stages(
    train: Split, test_layers: Layers, train_layers: Layers
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Samples of test and of train [m, d]: the inputs, then the output of each layer."""
    yield (
        "inputs",
        (
            test_layers.split.take(test_layers.rows).inputs.flatten(1),
            train.take(train_layers.rows).inputs.flatten(1),
        ),
    )
    for (name, theirs), (_, own) in zip(test_layers, train_layers, strict=True):
        yield name, (theirs, own)


def _stage_ratios(
    theirs: Shaped[Tensor, "m d"],
    own: Shaped[Tensor, "n d"],
    kinds: dict[str, Int64[Tensor, "p 2"]],
) -> dict[str, Estimate]:
    """The ratio of each kind of pairs in one representation; none where ends have no distance.

    By the law of parallelograms, |(a + b) / 2 - x|^2 = (|a - x|^2 + |b - x|^2) / 2 - |a - b|^2 / 4:
    the distances of the ends, from one matrix product, give those of every midpoint.
    """
    to_train = squared_distances(theirs, own).cpu()
    ratios = {}
    for kind, places in kinds.items():
        first, second = to_train[places.T]  # [p, n] each
        apart = (theirs[places[:, 0]].double() - theirs[places[:, 1]].double()).square().sum(dim=1)
        middle = ((first + second) / 2 - apart.cpu()[:, None] / 4).amin(dim=1).clamp(min=0).sqrt()
        ends = (first.amin(dim=1).sqrt() + second.amin(dim=1).sqrt()) / 2
        ratio = _ratio(middle, ends)
        if ratio is not None:
            ratios[kind] = ratio
    return ratios


def _bars(kind: str, stages: list[tuple[str, dict[str, Estimate]]]) -> Bars:
    found = {name: ratios[kind] for name, ratios in stages if kind in ratios}
    title = f"Midpoints of {kind}, by layer: distance to a sample of train"
    return Bars(title, "times the ends'", found)
