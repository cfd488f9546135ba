"""Classification on a random subspace: networks trained there, and attacks along it and off it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn

from offmap.lab.worlds import gaussian, rotation, teacher
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

STEPS = 10  # of an attack
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=2e-3),
}


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Standard normal points of a subspace of R^d, in two classes that a random network tells.

    Off the subspace the class is that of the nearest point in it.

    Args:
        basis: Orthonormal rows that span the subspace.
        teacher: The random network, on coordinates in the basis.
        middle: Its median.
    """

    basis: Float32[Tensor, "k d"]
    teacher: nn.Module
    middle: Float[Tensor, ""]

    def along(self, vectors: Float32[Tensor, "n d"]) -> Float32[Tensor, "n d"]:
        """Their part in the subspace."""
        return vectors @ self.basis.mT @ self.basis

    def off(self, vectors: Float32[Tensor, "n d"]) -> Float32[Tensor, "n d"]:
        """Their part orthogonal to it."""
        return vectors - self.along(vectors)

    def classes(self, points: Float32[Tensor, "n d"]) -> Int64[Tensor, " n"]:
        """True classes, 0 or 1."""
        return (self.teacher((points @ self.basis.mT).double())[:, 0] > self.middle).long()

    def draw(self, n: int, generator: torch.Generator) -> Split:
        """Points and their classes."""
        points = gaussian(n, len(self.basis), generator=generator).float() @ self.basis
        return Split(points, self.classes(points))


def world(subspace: int, dimension: int, generator: torch.Generator) -> World:
    """A random subspace and a random teacher with three hidden units."""
    basis = rotation(dimension, generator=generator)[:subspace].float()
    network = teacher(subspace, 3, generator=generator)
    middle = network(gaussian(2000, subspace, generator=generator)).median()
    return World(basis, network, middle)


def train(
    worlds: Sequence[World], sizes: Sequence[int], width: int, updates: int, optimizer: str,
    generator: torch.Generator,
) -> list[nn.Module]:  # fmt: skip
    """One network for each world, all in one pass; two hidden layers.

    Smaller samples are repeated, so that each network makes the same number of updates.

    Args:
        worlds: What they are trained on.
        sizes: Examples of each.
        width: Of a hidden layer.
        updates: How many, at least, of 64 examples.
        optimizer: SGD or Adam.
        generator: Source of examples and weights.
    """
    most = max(sizes)
    splits = [
        place.draw(size, generator).take(torch.arange(most) % size)
        for place, size in zip(worlds, sizes, strict=True)
    ]
    dimension = worlds[0].basis.shape[1]
    recipe = Recipe(
        lambda: normal_first(MLP(dimension, (width, width), 2)),
        OPTIMIZERS[optimizer],
        nn.functional.cross_entropy,
        epochs=-(-updates * 64 // most),
        batch_size=64,
    )
    seeds = torch.randint(2**62, (len(worlds),), generator=generator).tolist()
    return ensemble_trainer(recipe)(splits, [torch.Generator().manual_seed(s) for s in seeds])


def normal_first(model: MLP) -> MLP:
    """The model with normal weights in its first layer, of the variance that torch draws: 1/(3d).

    Normal, so that weights along a subspace and off it are independent.
    """
    weight = next(model.parameters())
    nn.init.normal_(weight, std=(3 * weight.shape[1]) ** -0.5)
    return model


def margins(
    model: nn.Module, points: Float32[Tensor, "n d"], classes: Int64[Tensor, " n"]
) -> Float32[Tensor, " n"]:
    """Score of the class minus that of the other: negative where the network errs."""
    difference = model(points).diff(dim=1)[:, 0]
    return torch.where(classes == 1, difference, -difference)


def attack(
    model: nn.Module, place: World, points: Float32[Tensor, "n d"], radius: float,
    direction: Callable[[Tensor], Tensor],
) -> tuple[Float32[Tensor, "n d"], Bool[Tensor, " n"]]:  # fmt: skip
    """Projected gradient descent on the margin, and whether it met an error on its way.

    An error is a point whose true class is still that of the start, and is not the network's.

    Args:
        model: The network.
        place: Its world.
        points: Where to start.
        radius: Length of a change, at most.
        direction: What of a gradient may be used.
    """
    classes, change = place.classes(points), torch.zeros_like(points)
    met = torch.zeros(len(points), dtype=torch.bool)
    for _ in range(STEPS):
        change = change.requires_grad_()
        slope = torch.autograd.grad(margins(model, points + change, classes).sum(), change)[0]
        slope = direction(slope)
        step = slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-30)
        change = change.detach() - 2.5 * radius / STEPS * step
        change = change * (radius / change.norm(dim=1, keepdim=True).clamp_min(radius))
        there = points + change
        with torch.no_grad():
            wrong = margins(model, there, classes) < 0
        met |= wrong & (place.classes(there) == classes)
    return change, met
