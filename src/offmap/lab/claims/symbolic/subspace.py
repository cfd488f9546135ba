"""Networks whose data lie in a plane of their input space, before and after training."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from offmap.lab.claims.symbolic.networks import again, first_layer, sources
from offmap.lab.worlds import gaussian, rotation
from offmap.models.mlp import MLP
from offmap.numerics.span import Span, frozen, span_of
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

EXAMPLES, WIDTH = 200, 64
Optimizing = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


class Trained(NamedTuple):
    """Networks and what they were made of."""

    before: list[nn.Module]
    after: list[nn.Module]
    split: Split


def world(inputs: int, dimension: int, *, generator: torch.Generator) -> Split:
    """Gaussian data in a plane through a random point, turned at random; a wavy target in it."""
    axes = rotation(inputs, generator=generator)[:dimension]
    z = gaussian(EXAMPLES, dimension, generator=generator)
    shift = gaussian(1, inputs, generator=generator) / inputs**0.5
    return Split(z @ axes + shift, z.sum(dim=1, keepdim=True).sin())


def train(
    split: Split, optimizer: Optimizing, steps: int, networks: int, generator: torch.Generator
) -> Trained:
    """Networks of one hidden layer, in float64, all examples in every step."""
    seeds = sources(networks, generator)

    def recipe(epochs: int) -> Recipe:
        build = lambda: MLP(split.shape[0], (WIDTH,), 1).double()  # noqa: E731
        return Recipe(build, optimizer, mse_loss, epochs, len(split))

    before = ensemble_trainer(recipe(0))(split, again(seeds))
    return Trained(before, ensemble_trainer(recipe(steps))(split, seeds), split)


def departure(given: Trained, factor: float = 1.0) -> float:
    """How far the frozen parts of the first layers are from `factor` times what they were.

    Relative to what they were, in the Euclidean norm; the largest over networks.
    """
    span = span_of([given.split.inputs])
    pairs = zip(given.before, given.after, strict=True)
    rows = [(still(span, old), still(span, new)) for old, new in pairs]
    return max(((new - factor * old).norm() / old.norm()).item() for old, new in rows)


def still(span: Span, network: nn.Module) -> Float64[Tensor, "o d_and_one"]:
    """The part of the first layer, its bias last, that gradients of the span's rows never move."""
    layer = first_layer(network)
    weight, bias = frozen(span, layer.weight, layer.bias)
    assert bias is not None
    return torch.cat([weight, bias[:, None]], dim=1)
