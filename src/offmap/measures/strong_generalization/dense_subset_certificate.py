"""How much of the traffic must be right, being near an example of which that is known?"""

import math

import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from offmap.estimate import Estimate, exact, proportion, quantile
from offmap.figures import Bars, Curve, Gallery
from offmap.inputs import ClassPredictions, RealPredictions, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.strong_generalization.certificate import Certificate, of_classes, of_numbers
from offmap.numerics.cover import cell_excess, cell_samples
from offmap.numerics.covering import box_covering
from offmap.reading import Reading
from offmap.run import Domain, Split

POINTS = 101  # of the curve
SHOWN = 40  # examples in the gallery
STEPS = {
    "network": "make it smoother (weight decay, spectral or orthogonal layers, fewer layers)",
    "density": "collect training data like the rows in the gallery",
    "target": "even where train is as dense as it typically is, classes or values lie too close; "
    "find inputs in which they lie farther apart, or give up on that region",
}


@measure(
    asks="How much of the traffic must be right, because it lies so near a training example that "
    "neither target nor network can have changed?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="higher",
    cost=Cost.FORWARD,
    read="0.3: three inputs in ten are as good as a training example that the network gets right. "
    "0: vacuous, as for most networks without a bound on their slope: nothing is proved, for good "
    "or ill. What limits it (network, density, target) are shares that add up to 1 with it.",
    caution="Only as good as its constants. The network's slope is bounded for certain (in exact "
    "arithmetic), the target's is estimated from the training data unless you state it. L2 "
    "distance in the raw input. A lower bound: what is not certified may well be right.",
    next_step="Follow the largest limit: a smoother network, data like the rows in the gallery, or "
    "a guard that refuses the region.",
    paper=Paper("Xu & Mannor 2012", "https://arxiv.org/abs/1005.2243"),
)
def dense_subset_certificate(
    model: nn.Module,
    split: Split,
    train: Split,
    train_predictions: ClassPredictions | RealPredictions,
    neighbors: TrainNeighbors,
    train_neighbors: TrainNeighbors,
    domain: Domain,
    *,
    target_lipschitz: float = 0.0,
    reach: float = 0.5,
    tolerance: float = 1.0,
    examples: int = 2000,
    local: int = 64,
    generator: torch.Generator,
) -> Reading:
    r"""Share of inputs whose prediction follows from a training example by continuity.

    .. math:: m_i > L_m \lVert x - x_i \rVert \quad\text{and}\quad \lVert x - x_i \rVert < r_i

    for one of the nearest training examples: its margin :math:`m_i` outlasts the way to x at the
    steepest slope the network can have, so the prediction is that of the example; and x lies
    within the radius in which the target is taken to be constant. That is `reach` times the
    distance from the example to the nearest of another class (at one half, x is nearer to it than
    to any of another class), or one over `target_lipschitz` where that is stated.

    For regression, share of inputs whose error must be below `tolerance`:

    .. math:: |f(x_i) - y_i| + (L_f + L_t) \lVert x - x_i \rVert

    Others lack one of three things. *Network*: if it were no steeper than the target asks, the
    input would be certified. *Density*: not even then, but if the nearest example were at the
    median distance of training examples from their nearest other. *Target*: not even then.

    The parts say besides what follows for the error everywhere without looking at single inputs:
    cut the box of inputs into cells in which neither target nor (a perfect) network changes; then
    the error exceeds that on train by no more than a bound by the number of cells (Xu & Mannor).

    The null is 0, what is certified where neither slope is bounded.

    Args:
        model: The network.
        split: The traffic; its targets are not needed, and check the certificate if known.
        train: The examples.
        train_predictions: Of train.
        neighbors: Of the split.
        train_neighbors: Of training examples among the others.
        domain: Of the inputs: the box that cells would have to fill.
        target_lipschitz: Of the target, a change of class counting as one; 0: from the data.
        reach: Share of the distance to the nearest other class that the target is trusted for.
        tolerance: Of the error in a regression, in root mean square distances of the training
            targets from their mean: at 1 the mean would do as well.
        examples: Most inputs that are looked at, at random.
        local: Most balls over which the network's slope is bounded locally.
        generator: Source of the sample.

    Raises:
        ValueError: If a setting is out of range.
        CannotMeasure: If no bound is known for a layer of the network.
    """
    if target_lipschitz < 0 or not 0 < reach <= 1 or tolerance <= 0 or examples < 1 or local < 0:
        raise ValueError(
            "expected target_lipschitz >= 0, 0 < reach <= 1, tolerance > 0, examples >= 1 and "
            f"local >= 0, got {target_lipschitz}, {reach}, {tolerance}, {examples} and {local}"
        )
    rows = torch.randperm(len(split), generator=generator)[:examples].sort().values
    near = TrainNeighbors(rows, neighbors.distance[rows], neighbors.index[rows])
    if isinstance(train_predictions, ClassPredictions):
        spacing = train_neighbors.distance[:, 0].median().item()
        found = of_classes(
            model, train, train_predictions, near, spacing,
            lipschitz=target_lipschitz, reach=reach, local=local,
        )  # fmt: skip
    else:
        found = of_numbers(
            model, train, train_predictions, near, train_neighbors,
            lipschitz=target_lipschitz, tolerance=tolerance,
        )  # fmt: skip
    share = _share(found.certified)
    parts = {f"limited by the {name}": _share(which) for name, which in found.limits.items()}
    parts["certified with a perfect network"] = _share(found.perfect)
    parts |= found.parts
    lacking = found.steep[found.limits["network"] & found.steep.isfinite()]
    if len(lacking) >= 6:  # the least for an interval of a median
        parts["times too steep, where the network limits, median"] = quantile(lacking)
    if isinstance(train_predictions, ClassPredictions) and split.known_targets is not None:
        parts |= _checked(found, split, train_predictions)
    if isinstance(train_predictions, ClassPredictions):
        parts |= _by_cells(found, domain, len(train))
    verdicts = torch.full((len(split),), torch.nan, dtype=torch.float64)
    verdicts[rows] = found.certified.double()
    return Reading(
        share,
        null=exact(0.0),
        parts=parts,
        per_example=verdicts,
        figures=(_limits(share, parts), _curve(found), *_gallery(split, found)),
        notes=_notes(split, found),
    )


def _share(which: Bool[Tensor, " m"]) -> Estimate:
    return proportion(int(which.sum()), len(which))


def _checked(
    found: Certificate, split: Split, predictions: ClassPredictions
) -> dict[str, Estimate]:
    """Of what is certified, how much has another target after all; and a bound on all error."""
    assert split.known_targets is not None
    said = predictions.targets.cpu().long()[found.example[found.certified]]
    wrong = said != split.known_targets.cpu().long()[found.rows[found.certified]]
    at_most = 1 - proportion(int(found.certified.sum()), len(found.rows), family=2).low
    parts = {}
    if len(wrong):
        parts["of the certified, wrong after all"] = proportion(int(wrong.sum()), len(wrong))
        at_most += proportion(int(wrong.sum()), len(wrong), family=2).high
    at_most = min(1.0, at_most)
    parts["error on all of it, at most"] = Estimate(at_most, 0.0, at_most, "bound", len(found.rows))
    return parts


def _by_cells(found: Certificate, domain: Domain, n: int) -> dict[str, Estimate]:
    """What follows for the error from cells as small as the target asks, chosen beforehand."""
    radius = found.parts.get("radius within which the target is taken not to, median")
    if domain.low is None or domain.high is None or radius is None or radius.value == 0:
        return {}
    widths = torch.full((math.prod(domain.shape),), domain.high - domain.low)
    # a cube of half side r is as wide as 2 r sqrt(d) from corner to corner
    cells = box_covering(widths, radius.value / (2 * math.sqrt(len(widths))))
    excess = cell_excess(cells, n)
    return {
        "log10 cells in which the target does not change": exact(cells),
        "error beyond that on train, by cells, at most": Estimate(excess, 0.0, excess, "bound", n),
        "log10 examples for that to be 0.1": exact(cell_samples(cells, 0.1)),
    }


def _limits(share: Estimate, parts: dict[str, Estimate]) -> Bars:
    """What is certified, and what limits the rest."""
    limits = {name: part for name, part in parts.items() if name.startswith("limited by")}
    title = "What is certified, and what limits the rest"
    return Bars(title, "share", {"certified": share, **limits})


def _curve(found: Certificate) -> Curve:
    """Shares within a distance of their example: of all, for a perfect network, and certified."""
    top = found.distance.sort().values
    radius = top[torch.linspace(0, len(top) - 1, POINTS).long()].unique()

    def within(which: Bool[Tensor, " m"]) -> Float64[Tensor, " p"]:
        inside = found.distance[which].sort().values
        return torch.searchsorted(inside, radius, right=True).double() / len(which)

    return Curve(
        "What is certified within a distance of a training example",
        "distance to the training example",
        "share of examples",
        radius,
        {
            "near enough": within(torch.ones_like(found.certified)),
            "and the target cannot have changed": within(found.perfect),
            "and the network cannot either": within(found.certified),
        },
    )


def _gallery(split: Split, found: Certificate) -> tuple[Gallery, ...]:
    """What fails for want of data near it, farthest first, beside the nearest there is."""
    lacking = found.limits["density"].nonzero().flatten()
    lacking = lacking[found.distance[lacking].argsort(descending=True, stable=True)][:SHOWN]
    if not len(lacking):
        return ()
    return (
        Gallery(
            "Not certified for want of data: collect more like these",
            (split.name, "train"),
            torch.stack([found.rows[lacking], found.example[lacking]], dim=1),
            tuple(f"distance {value:.3g}" for value in found.distance[lacking].tolist()),
        ),
    )


def _notes(split: Split, found: Certificate) -> tuple[str, ...]:
    """Whether it says anything, and what would help most."""
    notes = []
    if not found.certified.any():
        notes.append(f"Vacuous on {split.name}: nothing is certified, so nothing is proved.")
    counts = {name: int(which.sum()) for name, which in found.limits.items()}
    name = max(counts, key=lambda one: counts[one])
    if counts[name]:
        notes.append(
            f"What limits it most on {split.name} is the {name} ({counts[name]} of "
            f"{len(found.rows)} examples): {STEPS[name]}."
        )
    return tuple(notes)
