"""How far apart do examples of different classes lie?"""

import math

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from offmap.estimate import TAIL, Estimate, exact, proportion, quantile
from offmap.figures import Curve, Gallery
from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.continuity.class_distance import (
    MEMORY_SHARE,
    class_distances,
    class_targets,
    shuffled_distance,
)
from offmap.numerics.supremum import nearest
from offmap.reading import Reading
from offmap.run import Split

LEVELS = (0.0001, 0.001, 0.01, 0.5)  # quantiles that are told beside the smallest
NORMS = {"l2": "L2", "linf": "L-infinity"}
POINTS = 101  # of the curve
SHOWN = 12  # pairs in the gallery


@measure(
    asks="How far can every training input be moved before it could reach another class?",
    unit="distance in the input",
    span=(0.0, math.inf),
    better="higher",
    cost=Cost.WEIGHTS,
    read="0.1: the two nearest examples of different classes lie 0.2 apart, so within 0.1 of every "
    "example one classifier can be right everywhere. 0: two equal inputs have different classes, "
    "and no classifier is right on both. Random labels on the same inputs show what is luck: well "
    "above them, classes are places of their own.",
    caution="A smallest value belongs to a single pair, which is often mislabeled or a near "
    "duplicate: read the quantiles and look at the pairs. It falls as data are added. Of a sample "
    "of the examples it is an upper bound.",
    next_step="Look at the nearest pairs: correct or drop those that are mislabeled. Defend "
    "against attacks up to this radius; beyond it, robustness costs accuracy on these data.",
    paper=Paper("Yang et al. 2020", "https://arxiv.org/abs/2003.02460"),
)
def label_separation(
    train: Split,
    train_neighbors: TrainNeighbors,
    *,
    norm: str = "l2",
    examples: int = 10_000,
    generator: torch.Generator,
) -> Reading:
    r"""Half the smallest distance between two training examples of different classes.

    .. math:: \tfrac12 \min_{y_i \ne y_j} \lVert x_i - x_j \rVert

    Exact over all pairs where there are no more than `examples` training examples; otherwise a
    random sample of them is held against all, and the smallest value found bounds that of all
    pairs from above. The parts give the quantiles over examples in both norms. The null is the
    same with the labels shuffled.

    Args:
        train: What is looked at.
        train_neighbors: Of training examples among the others.
        norm: Of the headline: `l2` or `linf`.
        examples: Most training examples that are held against all others.
        generator: Source of the sample and of the shuffled labels.

    Raises:
        ValueError: If the norm is another, or fewer than two examples are asked for.
        CannotMeasure: If the targets are no classes.
    """
    if norm not in NORMS or examples < 2:
        raise ValueError(f"expected norm l2 or linf and examples >= 2, got {norm!r}, {examples}")
    labels, n = class_targets(train), len(train)
    rows = torch.randperm(n, generator=generator)[:examples].sort().values
    shuffled = labels[torch.randperm(n, generator=generator)]
    found = class_distances(train.take(rows), train, own=rows)
    supremum = _supremum(train, rows, labels)
    distances = {"l2": found.other, "linf": supremum[0]}
    which = {"l2": found.other_row, "linf": supremum[1]}
    chance = {
        "l2": shuffled_distance(train_neighbors, shuffled[train_neighbors.rows], shuffled),
        "linf": _supremum(train, rows, shuffled)[0],
    }
    chance = {name: values[~values.isnan()] for name, values in chance.items()}
    whole = len(rows) == n
    parts = {
        f"{NORMS[name]}: {what}": estimate
        for name in NORMS
        for what, estimate in _quantiles(distances[name] / 2, chance[name] / 2, whole).items()
    }
    nearer = int((found.other > found.same).sum())
    parts["L2: nearer to their own class than to others"] = proportion(nearer, len(rows))
    half = torch.full((n,), torch.nan, dtype=torch.float64)
    half[rows] = distances[norm] / 2
    pairs = _pairs(distances[norm], rows, which[norm])
    return Reading(
        _smallest(distances[norm] / 2, whole),
        null=exact(chance[norm].amin().item() / 2, len(chance[norm])),
        parts=parts,
        per_example=half,
        figures=(
            _curve(NORMS[norm], distances[norm] / 2, chance[norm] / 2),
            _gallery(train, *pairs),
        ),
        notes=_notes(train, *pairs, len(rows)),
    )


def _supremum(
    train: Split, rows: Int64[Tensor, " m"], labels: Int64[Tensor, " n"]
) -> tuple[Float64[Tensor, " m"], Int64[Tensor, " m"]]:
    """Distance to the nearest example of another label in the supremum norm, and its row."""
    queries = train.table.take(rows)
    found = nearest(
        queries, train.table, labels=(labels[rows], labels), memory=train.memory // MEMORY_SHARE
    )
    return found.distance, found.index


def _smallest(half: Float64[Tensor, " m"], whole: bool) -> Estimate:
    value = half.amin().item()
    return exact(value, len(half)) if whole else Estimate(value, 0.0, value, "bound", len(half))


def _quantiles(
    half: Float64[Tensor, " m"], chance: Float64[Tensor, " _"], whole: bool
) -> dict[str, Estimate]:
    """The smallest, and quantiles that some examples lie below; of all examples they are exact."""
    parts = {"smallest": _smallest(half, whole)}
    for level in LEVELS:
        name, n = f"{level:.2%} quantile", len(half)
        if whole and level * n >= 1:
            parts[name] = exact(half.quantile(level, interpolation="lower").item(), n)
        elif not whole and (1 - level) ** n < TAIL:
            parts[name] = quantile(half, level)
    parts["smallest, random labels"] = exact(chance.amin().item(), len(chance))
    parts["median, random labels"] = exact(chance.median().item(), len(chance))
    return parts


def _pairs(
    distance: Float64[Tensor, " m"], rows: Int64[Tensor, " m"], others: Int64[Tensor, " m"]
) -> tuple[Int64[Tensor, "k 2"], Float64[Tensor, " k"]]:
    """Pairs of an example and its nearest of another class, each once, nearest first."""
    both = torch.stack([rows, others], dim=1).sort(dim=1).values
    pairs, place = both.unique(dim=0, return_inverse=True)
    apart = torch.empty(len(pairs), dtype=torch.float64).index_put_((place,), distance)
    order = apart.argsort(stable=True)
    return pairs[order], apart[order]


def _gallery(train: Split, pairs: Int64[Tensor, "k 2"], distance: Float64[Tensor, " k"]) -> Gallery:
    """The nearest pairs of different classes."""
    names = train.class_names

    def name(row: int) -> str:
        label = int(train.targets[row])
        return str(label) if names is None else names[label]

    return Gallery(
        "The nearest training examples of different classes",
        ("train", "train"),
        pairs[:SHOWN],
        tuple(
            f"{name(one)} and {name(other)}, distance {gap:.3g}"
            for (one, other), gap in zip(pairs[:SHOWN].tolist(), distance.tolist(), strict=False)
        ),
    )


def _curve(norm: str, half: Float64[Tensor, " m"], chance: Float64[Tensor, " c"]) -> Curve:
    """Share of examples whose ball of a radius could hold another class."""
    both = torch.cat([half, chance]).sort().values
    radius = both[torch.linspace(0, len(both) - 1, POINTS).long()].unique()

    def share(values: Tensor) -> Tensor:
        return torch.searchsorted(values.sort().values, radius, right=True).double() / len(values)

    return Curve(
        "How far inputs can move before they could reach another class",
        f"half the {norm} distance to the nearest other class",
        "share of examples within",
        radius,
        {"labels as given": share(half), "random labels": share(chance)},
    )


def _notes(
    train: Split,
    pairs: Int64[Tensor, "k 2"],
    distance: Float64[Tensor, " k"],
    looked_at: int,
) -> tuple[str, ...]:
    """Conflicts by row, and what a sample leaves open."""
    notes = []
    equal = int((distance == 0).sum())
    if equal:
        listed = "; ".join(f"{one} and {other}" for one, other in pairs[: min(equal, 10)].tolist())
        more = f" and {equal - 10} more" if equal > 10 else ""
        notes.append(f"Equal training inputs of different classes, by row: {listed}{more}.")
        if equal < len(distance):
            notes.append(f"Without them the headline is {distance[equal].item() / 2:.3g}.")
    if looked_at < len(train):
        missed = 1 - 0.05 ** (1 / looked_at)
        notes.append(
            f"Of {len(train)} training examples {looked_at} were held against all: the smallest "
            f"distance of all may be smaller, for at most {missed:.2%} of them (95 % confidence)."
        )
    return tuple(notes)
