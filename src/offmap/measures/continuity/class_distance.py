"""How far examples lie from the training examples of each kind: their own class, and the others."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int, Int64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.numerics.neighbors import search
from offmap.run import Split
from offmap.table import Subset

MEMORY_SHARE = 4  # a search may take this part of the budget


@dataclass(frozen=True, slots=True, eq=False)
class ClassDistances:
    """Euclidean distance and row of the nearest training example, of the same class and not.

    Infinite, and row -1, where there is none.
    """

    same: Float64[Tensor, " m"]
    other: Float64[Tensor, " m"]
    same_row: Int64[Tensor, " m"]
    other_row: Int64[Tensor, " m"]

    @property
    def radius(self) -> Float64[Tensor, " m"]:
        """How far an input must move before it can be nearer to the other side.

        Half the difference: each distance changes by no more than the input moves. Negative where
        another class is nearer.
        """
        return (self.other - self.same) / 2


def class_targets(train: Split) -> Int64[Tensor, " n"]:
    """The class of each training example.

    Raises:
        CannotMeasure: If the targets are no classes, or all the same.
    """
    targets = train.known_targets
    if targets is None or targets.is_floating_point() or targets.ndim != 1:
        raise CannotMeasure("the targets are no classes, so nothing separates them")
    if bool((targets == targets[0]).all()):
        raise CannotMeasure(f"all training examples are of class {int(targets[0])}")
    return targets.long().cpu()


def class_distances(
    queries: Split, train: Split, *, own: Int[Tensor, " m"] | None = None
) -> ClassDistances:
    """For each query the nearest training example of its class, and of any other, exactly.

    Args:
        queries: The examples to look up, with their classes.
        train: Where to look; its memory budget holds.
        own: Rows of train that the queries are, to be left out.
    """
    labels, mine = class_targets(train), queries.targets.long().cpu()
    far = torch.full((len(mine),), torch.inf, dtype=torch.float64)
    none = torch.full((len(mine),), -1)
    found = ClassDistances(far, far.clone(), none, none.clone())
    for label in mine.unique().tolist():
        rows = (mine == label).nonzero().flatten()
        points = queries.table.take(rows).flatten(1)
        for same in (True, False):
            bank = ((labels == label) == same).nonzero().flatten()
            leave = None
            if same and own is not None:
                leave = torch.searchsorted(bank, own[rows])
            if len(bank) <= (leave is not None):
                continue
            nearest = search(
                points, Subset(train.table, bank), k=1, exclude=leave,
                memory=train.memory // MEMORY_SHARE,
            )  # fmt: skip
            distance, row = (found.same, found.same_row) if same else (found.other, found.other_row)
            distance[rows] = nearest.distance[:, 0].cpu()
            row[rows] = bank[nearest.index[:, 0].cpu()]
    return found


def shuffled_distance(
    neighbors: TrainNeighbors, mine: Int[Tensor, " m"], labels: Int[Tensor, " n"]
) -> Float64[Tensor, " m"]:
    """Distance to the nearest of an example's neighbors that has another label; NaN: none has.

    With shuffled labels that is nearly always one of the first.
    """
    differs = labels[neighbors.index] != mine[:, None]  # [m, k]
    first = differs.double().argmax(dim=1, keepdim=True)
    distance = neighbors.distance.gather(1, first)[:, 0]
    return distance.where(differs.any(dim=1), torch.nan)
