"""How far can an input move before the network's answer changes, and how steep is it there?"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, dkw_band, quantile
from offmap.figures import Bars, Curve
from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.continuity.class_distance import class_targets
from offmap.measures.continuity.sandwich import Sandwich, sandwich
from offmap.passes import device_of
from offmap.reading import Reading
from offmap.run import Split

LEAST = 6  # examples for an interval of a median
FAR = 2.0  # times the longest input: farther than that, a search ends
POINTS = 61  # of the curve


@measure(
    asks="How far must an input move before the network answers otherwise?",
    unit="distance in the input",
    span=(0.0, math.inf),
    better="higher",
    cost=Cost.MANY_PASSES,
    read="0.4 in [0.03, 0.5]: half of the examples were brought to another answer by a step of "
    "0.4; that a step of 0.03 cannot is proved. Beside a distance of 1 to the nearest training "
    "example: the answer can turn long before the next known example. At the null: as far as if "
    "the network did no more than compare with the mean of each class.",
    caution="The value is what a search found, so the truth may be smaller; the lower end is what "
    "could be proved, and the truth may be far larger: in deep networks it mostly is. Steps go in "
    "any direction, also where no data lie. Rates are of the logits, whose scale is arbitrary.",
    next_step="Look at the most fragile examples. Train with noise, with a penalty on the input "
    "gradient or adversarially; for proofs worth having, with a bound on the layers' norms.",
    paper=Paper("Weng et al. 2018", "https://arxiv.org/abs/1804.09699"),
)
def local_lipschitz(
    model: nn.Module,
    train: Split,
    split: Split,
    predictions: ClassPredictions,
    neighbors: TrainNeighbors,
    train_neighbors: TrainNeighbors,
    *,
    examples: int = 128,
    proofs: int = 24,
    radius: float = 0.02,
    balls: int = 3,
    generator: torch.Generator,
) -> Reading:
    r"""Median distance to another answer, between what is proved and what was found.

    .. math:: \min \{ \lVert d \rVert_2 : \arg\max f(x + d) \ne \arg\max f(x) \}

    From above by DeepFool and bisection. From below by margin over rate: the difference of two
    outputs changes by no more than its Lipschitz constant times the step. Constants come from the
    norms of the layers for all inputs, and from linear relaxations for a ball around each. The
    interval runs from the lower end of the proved median to the upper end of the found one.

    The parts give the rates of the outputs as a sandwich: the norm of the Jacobian at the
    examples, the largest found in a ball by ascent, the bound proved for the ball, and that for all
    inputs; the exact constant where the network is so small that every linear piece can be looked
    at. Layers that no bound is known for leave the lower bounds, with a note.

    The null is the same distance for a classifier that knows no more of train than the mean of
    each class, and goes to the nearest: it has a closed form.

    Args:
        model: The network.
        train: What it was trained on.
        split: The examples to read.
        predictions: Of the split.
        neighbors: Of the split's examples in train.
        train_neighbors: Of train's among the others: the unit of `radius`.
        examples: How many of the split's examples are searched around.
        proofs: For how many of these something is proved.
        radius: Of the balls, in median distances of a training example to the next.
        balls: Sizes of ball that are tried for each proof.
        generator: Source of the sample.

    Raises:
        ValueError: If a setting is negative, or fewer than 6 examples or proofs are asked for.
        CannotMeasure: If the split has fewer than 6 examples, inputs are whole numbers, or train
            has a single class.
    """
    _check(split, examples, proofs, radius, balls)
    rows = torch.randperm(len(split), generator=generator)[:examples]
    inputs = split.take(rows).inputs.to(device_of(model))
    far = FAR * inputs.flatten(1).double().norm(dim=1).max().item()
    ball = radius * train_neighbors.distance[:, 0].double().median().item()
    seen = sandwich(
        model, inputs, proofs=proofs, ball=ball, balls=balls, far=far, generator=generator
    )
    nearest = neighbors.distance[rows, 0].double()
    columns = {
        "proved": seen.proved,
        "found": seen.found,
        "margin over slope": seen.linear,
        "distance to the nearest training example": nearest,
        "found, in distances to the nearest training example": (seen.found / nearest)[nearest > 0],
    }
    parts = {f"{k}, median": quantile(v) for k, v in columns.items() if len(v) >= LEAST}
    found, proved = quantile(seen.found), quantile(seen.proved)
    low = min(proved.low, found.value)
    per_example = torch.full((len(split),), math.nan, dtype=torch.double)
    per_example[rows] = seen.found
    return Reading(
        Estimate(found.value, low, found.high, "bound", len(rows)),
        null=quantile(_mean_distance(train, inputs.flatten(1).double().cpu()).clamp_max(far)),
        parts=parts | seen.rates,
        per_example=per_example,
        figures=(
            Bars(
                "How steep the outputs are",
                "change of the outputs a unit of the input",
                seen.rates,
                log_y=True,
            ),
            _curve(seen, nearest),
        ),
        notes=(*seen.notes, *_notes(seen, rows, far, split.name)),
    )


def _check(split: Split, examples: int, proofs: int, radius: float, balls: int) -> None:
    """Refuses settings that make no sense, and a split that cannot be read.

    Raises:
        ValueError: If a setting is out of range.
        CannotMeasure: If the split has too few examples, or none that move.
    """
    if min(examples, proofs) < LEAST or radius < 0 or balls < 0:
        raise ValueError(
            f"expected examples and proofs >= {LEAST}, radius and balls >= 0, got {examples} and "
            f"{proofs}, {radius:g} and {balls}"
        )
    if not split.table.dtype.is_floating_point:
        raise CannotMeasure(f"whole numbers ({split.table.dtype}) do not move continuously")
    if len(split) < LEAST:
        raise CannotMeasure(f"a median needs {LEAST} examples, got {len(split)}")


def _mean_distance(train: Split, points: Float64[Tensor, "m d"]) -> Float64[Tensor, " m"]:
    """How far each point must move before the mean of another class of train is the nearest."""
    labels = class_targets(train)
    _, place, counts = labels.unique(return_inverse=True, return_counts=True)
    means = torch.zeros(len(counts), points.shape[1], dtype=torch.double)
    start = 0
    for chunk in train.table.chunks():
        rows = chunk.flatten(1).double().cpu()
        means.index_add_(0, place[start : start + len(rows)], rows)
        start += len(rows)
    means /= counts[:, None]
    square = torch.cdist(points, means).square()
    nearest = square.argmin(dim=1, keepdim=True)
    between = torch.cdist(means, means)[nearest[:, 0]]
    # |x - b|^2 - |x - a|^2 falls by at most 2 |a - b| a unit of the way, and does toward b.
    distance = (square - square.gather(1, nearest)) / (2 * between)
    return distance.nan_to_num(nan=math.inf).scatter(1, nearest, math.inf).amin(dim=1)


def _notes(seen: Sandwich, rows: Tensor, far: float, name: str) -> list[str]:
    """Where the search ended without a change, and where the network is most fragile."""
    weakest = int(seen.found.argmin())
    notes = [
        f"Most fragile: row {int(rows[weakest])} of {name}, by a step of {seen.found[weakest]:.3g}."
    ]
    kept = int((seen.found >= far).sum())
    if kept:
        notes.append(f"{kept} of {len(rows)} examples kept their answer as far as {far:.3g}.")
    return notes


def _curve(seen: Sandwich, nearest: Float64[Tensor, " m"]) -> Curve:
    """Share of examples whose answer stays, by the length of the step."""
    columns = {
        "proved not to change": seen.proved,
        "not changed by the search": seen.found,
        "no training example as near": nearest,
    }
    top = max(seen.found.quantile(0.95).item(), nearest.median().item())
    steps = torch.linspace(0, top or 1.0, POINTS, dtype=torch.double)
    share = {k: (values[:, None] > steps).double().mean(dim=0) for k, values in columns.items()}
    band = {k: dkw_band(len(values)) for k, values in columns.items()}
    return Curve(
        "How far an input can move before its answer changes",
        "length of the step",
        "share of examples",
        steps,
        share,
        low={k: (values - band[k]).clamp_min(0) for k, values in share.items()},
        high={k: (values + band[k]).clamp_max(1) for k, values in share.items()},
    )
