"""Which inputs are certified by an example nearby, and what keeps the others from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn

from offmap.attempt import CannotMeasure, measurable
from offmap.estimate import Estimate, exact, quantile
from offmap.inputs import ClassPredictions, RealPredictions, TrainNeighbors
from offmap.measures.continuity.class_distance import class_distances
from offmap.numerics.cover import error_bound, margin_radius
from offmap.numerics.lipschitz import certified_radius, global_bound, margin_bounds
from offmap.passes import device_of, evaluating
from offmap.run import Split

T = TypeVar("T")

CANDIDATES = 3  # nearest training examples that may certify an input
HOPE = 20.0  # times the radius of the global bound, beyond which a local one is not tried


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What continuity says of some inputs.

    Args:
        rows: Of the split.
        certified: Neither network nor target can have changed since a training example.
        perfect: That, if the network were no steeper than the target asks.
        filled: That, if the training data were besides as dense as train typically is.
        distance: To the training example that certifies, or the nearest.
        example: Its row.
        parts: Constants and radii.
        steep: How many times too steep the network is, where that is what fails.
    """

    rows: Int64[Tensor, " m"]
    certified: Bool[Tensor, " m"]
    perfect: Bool[Tensor, " m"]
    filled: Bool[Tensor, " m"]
    distance: Float64[Tensor, " m"]
    example: Int64[Tensor, " m"]
    steep: Float64[Tensor, " m"]
    parts: dict[str, Estimate] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, Bool[Tensor, " m"]]:
        """What keeps the others from it: each is in one set."""
        return {
            "network": self.perfect & ~self.certified,
            "density": self.filled & ~self.perfect,
            "target": ~self.filled,
        }


def of_classes(
    model: nn.Module,
    train: Split,
    predictions: ClassPredictions,
    neighbors: TrainNeighbors,
    spacing: float,
    *,
    lipschitz: float,
    reach: float,
    local: int,
) -> Certificate:
    """Of a classifier.

    Args:
        model: The network.
        train: The examples.
        predictions: Of train.
        neighbors: Of the inputs, those among them that are to be certified.
        spacing: Typical distance of a training example to the next.
        lipschitz: Of the target, a change of class counting as one; 0: from the data.
        reach: Share of the distance to the nearest example of another class within which the
            class of an example is taken to be the only one.
        local: Most balls over which the network is bounded.

    Raises:
        CannotMeasure: If no bound is known for a layer of the network.
    """
    k = min(CANDIDATES, neighbors.index.shape[1])
    distance = neighbors.distance[:, :k]
    used, place = neighbors.index[:, :k].long().unique(return_inverse=True)
    bounds = _known(model, train, margin_bounds)
    labels = predictions.targets.cpu().long()
    network = margin_radius(predictions.logits[used], labels[used], bounds)
    if lipschitz:
        target = torch.full_like(network, 1 / lipschitz)
    else:
        target = reach * class_distances(train.take(used), train, own=used).other
    held = distance < target[place]  # the target cannot have changed [m, k]
    network = _locally(model, train, used, network, held, distance, place, local)
    still = distance < network[place]
    both = held & still
    first = both.double().argmax(dim=1, keepdim=True)  # the nearest that certifies, or the nearest
    steep = (distance / network.clamp_min(0)[place]).where(held, torch.inf).amin(dim=1)
    parts = {
        "steepest bound on a margin's slope": exact(bounds.max().item()),
        **_middles(
            {
                "distance to the nearest training example, median": distance[:, 0],
                "radius within which the network cannot change, median": network[place[:, 0]],
                "radius within which the target is taken not to, median": target[place[:, 0]],
            }
        ),
    }
    return Certificate(
        rows=neighbors.rows.long(),
        certified=both.any(dim=1),
        perfect=held.any(dim=1),
        filled=(distance.clamp_max(spacing) < target[place]).any(dim=1),
        distance=distance.gather(1, first)[:, 0],
        example=used[place.gather(1, first)[:, 0]],
        steep=steep,
        parts=parts,
    )


def _locally(
    model: nn.Module,
    train: Split,
    used: Int64[Tensor, " u"],
    network: Float64[Tensor, " u"],
    held: Bool[Tensor, "m k"],
    distance: Float64[Tensor, "m k"],
    place: Int64[Tensor, "m k"],
    most: int,
) -> Float64[Tensor, " u"]:
    """Larger radii for examples that lack little: the network is flatter near them.

    Those come first that come nearest to certifying an input; others keep the global radius.
    """
    open_ = held & (distance >= network[place]) & (distance < HOPE * network[place])
    open_ &= ~(held & (distance < network[place])).any(dim=1, keepdim=True)
    wanted = torch.zeros_like(network).scatter_reduce_(0, place[open_], distance[open_], "amax")
    lack = (wanted / network).where(wanted > 0, torch.inf)
    chosen = lack.argsort(stable=True)[: min(most, int((wanted > 0).sum()))]
    if not len(chosen):
        return network
    centers = train.table.take(used[chosen]).to(device_of(model))
    with evaluating(model):
        # 1 + 1e-9: a ball that reaches just beyond the input
        limit = (wanted[chosen] * (1 + 1e-9)).to(centers.device)
        found = certified_radius(model, centers, limit)
    larger = network.clone()
    larger[chosen] = torch.maximum(network[chosen], found.cpu())
    return larger


def of_numbers(
    model: nn.Module,
    train: Split,
    predictions: RealPredictions,
    neighbors: TrainNeighbors,
    own: TrainNeighbors,
    *,
    lipschitz: float,
    tolerance: float,
) -> Certificate:
    """Of a regression: an input is certified if the error there cannot exceed a tolerance.

    Args:
        model: The network.
        train: The examples.
        predictions: Of train.
        neighbors: Of the inputs to be certified.
        own: Of training examples among the others.
        lipschitz: Of the target; 0: the steepest pair of neighbors in train, a lower bound.
        tolerance: In root mean square distances of the training targets from their mean.

    Raises:
        CannotMeasure: If no bound is known for a layer of the network, or targets are all equal.
    """
    targets = predictions.targets.cpu().double().flatten(1)
    error = (predictions.outputs.cpu().double().flatten(1) - targets).norm(dim=1)
    spread = (targets - targets.mean(dim=0)).square().sum(dim=1).mean().sqrt().item()
    if spread == 0:
        raise CannotMeasure("all training targets are equal: no error can be set against them")
    if not lipschitz:
        change = (targets[own.index.long()] - targets[own.rows.long()][:, None]).norm(dim=2)
        slopes = (change / own.distance).where(own.distance > 0, 0.0)
        lipschitz = slopes.max().item()
    rate = _known(model, train, global_bound)
    ideal = lipschitz + min(lipschitz, rate)
    spacing = own.distance[:, 0].median().item()
    distance, index = neighbors.distance, neighbors.index.long()
    most = tolerance * spread
    bound = error_bound(distance, error[index], rate + lipschitz)
    nearest = (error[index] + (rate + lipschitz) * distance).argmin(dim=1, keepdim=True)
    allowed = (most - error[index] - lipschitz * distance).clamp_min(0)  # for the network's change
    parts = {
        "bound on the network's slope": exact(rate),
        "slope of the target": exact(lipschitz),
        **_middles(
            {
                "distance to the nearest training example, median": distance[:, 0],
                "error at the nearest training example, median": error[index[:, 0]],
                "bound on the error, median": bound,
            }
        ),
    }
    return Certificate(
        rows=neighbors.rows.long(),
        certified=bound <= most,
        perfect=error_bound(distance, error[index], ideal) <= most,
        filled=error_bound(distance.clamp_max(spacing), error[index], ideal) <= most,
        distance=distance.gather(1, nearest)[:, 0],
        example=index.gather(1, nearest)[:, 0],
        steep=(rate * distance / allowed).amin(dim=1),
        parts=parts,
    )


def _known(model: nn.Module, train: Split, bound: Callable[[nn.Module, Tensor], T]) -> T:
    """A bound on the network.

    Raises:
        CannotMeasure: If a layer is of a kind that none is known for.
    """
    example = train.take(torch.zeros(1, dtype=torch.int64)).inputs.to(device_of(model))
    with evaluating(model):
        return measurable(
            lambda: bound(model, example), ValueError, "no bound on the network is known"
        )


def _middles(columns: dict[str, Float64[Tensor, " m"]]) -> dict[str, Estimate]:
    """The median of each, where it is finite and has an interval."""
    parts = {}
    for name, values in columns.items():
        finite = values[values.isfinite()]
        if len(finite) >= max(6, len(values) // 2 + 1):
            parts[name] = quantile(finite)
    return parts
