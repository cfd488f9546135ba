"""Weights of inputs that are zero in all training data never learn."""

from collections.abc import Callable, Iterable
from math import ulp

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.networks import again, first_layer, sources
from offmap.lab.worlds import gaussian
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    "gradient descent": lambda weights: torch.optim.SGD(weights, lr=0.05),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.01, momentum=0.9),
    "RMSprop": lambda weights: torch.optim.RMSprop(weights, lr=1e-3),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=1e-3),
}


@claim(
    says="The weights of an input that is zero in all training data have a gradient of exactly "
    "zero: after training, by any of four optimizers, every bit of them is what it was.",
    effect="Largest absolute gradient or change of such a weight, over optimizers and networks; "
    "the line is the smallest positive number there is in float64.",
    below=ulp(0.0),
    scales={
        "smoke": {"inputs": 24, "dead": 6, "examples": 64, "epochs": 10, "networks": 2},
        "desk": {"inputs": 200, "dead": 50, "examples": 512, "epochs": 30, "networks": 5},
        "full": {"inputs": 784, "dead": 67, "examples": 4096, "epochs": 30, "networks": 5},
    },
    seconds={"smoke": 0.25, "desk": 5, "full": 100},
    paper=Paper(
        "Melamed, Yehudai and Vardi 2023, Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
)
def frozen_offspan(
    *, inputs: int, dead: int, examples: int, epochs: int, networks: int, generator: torch.Generator
) -> Trial:
    r"""A ReLU network fits a random teacher's answers, in float64.

    .. math:: \nabla_W L = \sum_i \delta_i x_i'

    for the first layer, so the column of an input that is 0 in every example is a sum of zeros,
    and the update of every elementwise optimizer without weight decay is 0 as well. The change of
    the other weights is among the parts.

    Args:
        inputs: Of the network.
        dead: Of these, how many are zero in all data.
        examples: To train on.
        epochs: Passes over them, 16 in a batch.
        networks: Trained at once by each optimizer.
        generator: Source of data and weights.
    """
    x = gaussian(examples, inputs, generator=generator)
    x[:, inputs - dead :] = 0
    y = (x @ gaussian(inputs, 1, generator=generator)).tanh()
    split = Split(x, y)
    gradients, changes, others = [], [], []
    for optimizer in OPTIMIZERS.values():
        seeds = sources(networks, generator)

        def recipe(epochs: int, optimizer: Callable = optimizer) -> Recipe:
            build = lambda: MLP(inputs, (32,), 1).double()  # noqa: E731
            return Recipe(build, optimizer, mse_loss, epochs, 16)

        before = ensemble_trainer(recipe(0))(split, again(seeds))
        after = ensemble_trainer(recipe(epochs))(split, seeds)
        for old, new in zip(before, after, strict=True):
            gradients += [_gradient(net, split)[:, inputs - dead :] for net in (old, new)]
            change = (first_layer(new).weight - first_layer(old).weight).detach()
            changes.append(change[:, inputs - dead :])
            others.append(change[:, : inputs - dead])
    largest = {
        name: torch.stack(found).abs().max().item()
        for name, found in (("gradient", gradients), ("change", changes), ("other", others))
    }
    return Trial(
        effect=max(largest["gradient"], largest["change"]),
        parts={
            "largest gradient": largest["gradient"],
            "largest change": largest["change"],
            "largest change of another weight": largest["other"],
        },
    )


def _gradient(network: nn.Module, split: Split) -> Tensor:
    """Of the loss on all examples, in the weights of the first layer."""
    with torch.enable_grad():
        loss = mse_loss(network(split.inputs), split.targets)
        return torch.autograd.grad(loss, first_layer(network).weight)[0]
