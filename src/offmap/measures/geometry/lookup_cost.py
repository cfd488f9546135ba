"""What would it take to cover all inputs by examples?"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, quantile
from offmap.figures import Curve
from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.dimension_reading import likelihood_or_none
from offmap.numerics.covering import box_covering, log10_manifold_covering
from offmap.reading import Reading
from offmap.run import Domain, Split

COVERED = 0.95  # share of the data's own law that is to be covered
RADII = 41  # of the curve
OPERATIONS = 2 * 10**9  # of the comparison of all examples looked at


class _Radius(NamedTuple):
    """How far a label reaches, in both norms."""

    euclidean: Estimate
    largest: Estimate  # in the largest coordinate


@measure(
    asks="How many examples would a table need that has one near every possible input?",
    unit="log10 examples",
    span=(0.0, math.inf),
    better="lower",
    cost=Cost.FORWARD,
    read="30: a table of 10^30 entries. Against the null, the training examples at hand, it says "
    "that covering the inputs, with nonsense to reject as well as data to accept, is out of the "
    "question; a network must generalize, and a guard must reject what it has not seen.",
    caution="Of the whole box of inputs, nearly all of which is noise; the part for the data's own "
    "law is what covering the data alone takes, and extrapolates its dimension. Half of the "
    "examples have a label that reaches less far: the true cost is higher.",
    next_step="Do not try to reject by example. Refuse by distance to what is known (a guard), "
    "and reduce the dimension: invariances shrink the exponent, data only the base.",
    paper=Paper(
        "Kolmogorov & Tikhomirov 1959", "https://encyclopediaofmath.org/wiki/Epsilon-entropy"
    ),
)
def lookup_cost(
    train: Split,
    train_neighbors: TrainNeighbors,
    domain: Domain,
    *,
    radius: float = 0.0,
    examples: int = 1000,
    generator: torch.Generator,
) -> Reading:
    r"""Covering number of the input box, at the radius to which a label reaches.

    .. math:: \log_{10} \prod_{i \le D} \big( \lfloor (b_i - a_i) / 2 r \rfloor + 1 \big)

    With that many entries there is one nearer than r, in the largest coordinate, to every point of
    the box, and with no fewer: the points of a grid 2 r wide need one each. The box is the
    domain's, or the range of the examples looked at where the domain is open. r is half the
    distance to the nearest example of another class, in the median over the examples looked at and
    among these: with all of train it is smaller, and the cost larger.

    For the data's own law, n examples cover 95 % within q; as distances to the nearest shrink like
    n^(-1/d) on d dimensions, n (q / r)^d cover them within r, now in the Euclidean norm.

    Args:
        train: What the network was trained on.
        train_neighbors: Of training examples among the others.
        domain: The box.
        radius: To which a label reaches, in both norms; 0: from the classes.
        examples: How many training examples are compared for it; fewer where inputs are long.
        generator: Source of the sample.

    Raises:
        ValueError: If the radius is negative, or fewer than 10 examples are asked for.
        CannotMeasure: If there are no classes and no radius is set, or examples of two classes
            are equal so often that a label reaches nowhere.
    """
    if not (0 <= radius < math.inf and examples >= 10):
        raise ValueError(f"expected radius >= 0 and examples >= 10, got {radius} and {examples}")
    most = min(examples, max(100, math.isqrt(OPERATIONS // max(1, math.prod(train.shape)))))
    rows = torch.randperm(len(train), generator=generator)[:most].sort().values
    few = train.take(rows)
    values = few.inputs.flatten(1)
    values = values if values.dtype == torch.float32 else values.double()
    reach = _given(radius) if radius else _label_radius(values, few.known_targets)
    if reach.largest.low <= 0 or reach.euclidean.low <= 0:
        raise CannotMeasure("too many equal inputs have different labels: a label reaches nowhere")
    widths = _box(values, domain)
    parts = {
        "radius, largest coordinate": reach.largest,
        "radius, Euclidean": reach.euclidean,
        **_own_law(train_neighbors, len(train), reach.euclidean),
    }
    cost = _each(reach.largest, lambda r: box_covering(widths, r))
    at_hand = exact(math.log10(len(train)), len(train))
    return Reading(
        cost,
        null=at_hand,
        parts=parts,
        figures=(_curve(widths, reach.largest.value, at_hand.value),),
        notes=(
            f"A table with one entry near every input needs 10^{cost.value:.3g} entries, "
            f"10^{cost.value - at_hand.value:.3g} times the training examples at hand.",
        ),
    )


def _given(radius: float) -> _Radius:
    return _Radius(exact(radius), exact(radius))


def _label_radius(values: Tensor, targets: Tensor | None) -> _Radius:
    """Half the distance to the nearest example of another class: the median in both norms.

    Raises:
        CannotMeasure: If there are no classes, or but one.
    """
    if targets is None or targets.is_floating_point() or targets.ndim > 1:
        raise CannotMeasure("a label's reach needs classes: set lookup_cost.radius")
    alike: Int[Tensor, "m m"] = targets[:, None] == targets
    if bool(alike.all()):
        raise CannotMeasure("all training examples have one class: set lookup_cost.radius")

    def half(norm: float) -> Estimate:
        apart: Float64[Tensor, "m m"] = torch.cdist(
            values, values, p=norm, compute_mode="donot_use_mm_for_euclid_dist"
        ).double()
        return quantile(apart.masked_fill(alike, torch.inf).amin(dim=1) / 2)

    return _Radius(half(2.0), half(math.inf))


def _box(values: Tensor, domain: Domain) -> Float64[Tensor, " d"]:
    """Side lengths: of the domain, or of what was seen."""
    if domain.low is None or domain.high is None:
        return (values.amax(dim=0) - values.amin(dim=0)).double()
    return torch.full((values.shape[1],), domain.high - domain.low, dtype=torch.double)


def _each(radius: Estimate, cost: Callable[[float], float]) -> Estimate:
    """The cost, which falls with the radius, at an estimated one: the ends change places."""
    low, value, high = cost(radius.high), cost(radius.value), cost(radius.low)
    return Estimate(value, low, high, radius.method, radius.n)


def _own_law(near: TrainNeighbors, n: int, radius: Estimate) -> dict[str, Estimate]:
    """What covering the data alone takes, where their dimension can be told."""
    dimension = likelihood_or_none(near)
    if dimension is None or len(near.distance) < 72:
        return {}
    covered = quantile(near.distance[:, 0], COVERED)
    if covered.low <= 0:
        return {}
    # all four corners: the cost rises with the dimension only where the radius is too small
    corners = [
        log10_manifold_covering(n, q / r, d)
        for q, r in ((covered.low, radius.high), (covered.high, radius.low))
        for d in (dimension.low, dimension.high)
    ]
    value = log10_manifold_covering(n, covered.value / radius.value, dimension.value)
    name = f"log10 examples that cover {COVERED:.0%} of the data's own law"
    return {
        "intrinsic dimension": dimension,
        name: Estimate(value, min(corners), max(corners), "bound", dimension.n),
    }


def _curve(widths: Float64[Tensor, " d"], radius: float, at_hand: float) -> Curve:
    """The cost by radius, around the one to which labels reach."""
    radii = radius * torch.logspace(-1, 1, RADII, dtype=torch.double)
    cost = [box_covering(widths, r) for r in radii.tolist()]
    return Curve(
        "Examples that cover the input box",
        "radius, largest coordinate",
        "log10 examples",
        radii,
        {
            "to cover the box": torch.tensor(cost, dtype=torch.double),
            "at hand": torch.full((RADII,), at_hand, dtype=torch.double),
        },
        log_x=True,
    )
