"""Functions of one number, networks that are trained on a part of its line, and rays through them.

Along a ray every unit of a ReLU network is piecewise linear, and bends finitely often.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import CosineAnnealingLR

from offmap.lab.claims.symbolic.networks import sources
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

TARGETS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "2 x": lambda x: 2 * x,
    "|x|": torch.abs,
    "x^2": torch.square,
    "sin x": torch.sin,
}
EDGE = 2.0  # training points lie between -EDGE and EDGE
FAR = (4.0, 8.0)  # and the others at this distance from zero
POINTS = 128


class Far(NamedTuple):
    """Where a network becomes a straight line, and which one: offset + slope t from `bend` on."""

    bend: float
    offset: Float64[Tensor, " o"]
    slope: Float64[Tensor, " o"]


def learned(
    names: Sequence[str], width: int, steps: int, networks: int, *, generator: torch.Generator
) -> dict[str, list[MLP]]:
    """Networks of two hidden layers for each of these targets, in float64, all trained at once.

    Adam, all points in every step, a rate that falls from 0.003 to 0 along a cosine.
    """
    x = torch.linspace(-EDGE, EDGE, POINTS, dtype=torch.double)[:, None]
    splits = [Split(x, TARGETS[name](x)) for name in names for _ in range(networks)]
    recipe = Recipe(
        lambda: MLP(1, (width, width), 1).double(),
        lambda weights: torch.optim.Adam(weights, lr=3e-3),
        mse_loss, steps, POINTS, CosineAnnealingLR,
    )  # fmt: skip
    nets = ensemble_trainer(recipe)(splits, sources(len(splits), generator))
    found = [net for net in nets if isinstance(net, MLP)]
    return {
        name: found[place * networks : (place + 1) * networks] for place, name in enumerate(names)
    }


def far_points(side: int, count: int = 41) -> Float64[Tensor, "n 1"]:
    """Points beyond the data on the right (1) or on the left (-1)."""
    return side * torch.linspace(*FAR, count, dtype=torch.double)[:, None]


def relative_error(networks: list[MLP], name: str) -> float:
    """Mean of |error| / |target| over points far out on both sides, over all networks."""
    x = torch.cat([far_points(1), far_points(-1)])
    wanted = TARGETS[name](x)
    with torch.no_grad():
        rows = [((net(x) - wanted) / wanted).abs().mean() for net in networks]
    return torch.stack(rows).mean().item()


def far_line(network: MLP, start: Float64[Tensor, " d"], direction: Float64[Tensor, " d"]) -> Far:
    """Of a ReLU network along start + t direction, for large t.

    Layer by layer: where all units below are straight, each unit's own bend is a root; beyond the
    last of them it is its line where that rises, and zero where it falls.
    """
    bend, offset, slope = 0.0, start, direction
    layers = [*network.body, network.head]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            offset, slope = layer(offset), slope @ layer.weight.T
        elif isinstance(layer, nn.ReLU):
            roots = (-offset / slope)[slope != 0]
            bend = max([bend, *roots.tolist()])
            alive = (slope > 0) | ((slope == 0) & (offset > 0))
            offset, slope = offset.where(alive, 0.0), slope.where(alive, 0.0)
    return Far(bend, offset.detach(), slope.detach())
