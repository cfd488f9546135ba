"""Networks that classify scikit-learn's digits, as they are trained by default, and noise."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from offmap.lab.data import digits
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

CLASSES = 10


class Classifiers(NamedTuple):
    """Networks, and the digits [n 64] from 0 to 1 that they were and were not trained on."""

    networks: list[nn.Module]
    train: Float[Tensor, "n d"]
    test: Float[Tensor, "m d"]
    accuracy: float


def classifiers(
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    *,
    build: Callable[[], nn.Module] | None = None,
    generator: torch.Generator,
) -> Classifiers:
    """Multilayer perceptrons, or what is built, trained with Adam and cross-entropy.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once.
        build: Makes a network; a ReLU network of these widths where None.
        generator: Source of weights and orders.
    """
    images = digits()
    train, test = images.inputs.flatten(1), images.test_inputs.flatten(1)
    recipe = Recipe(
        build or (lambda: MLP(train.shape[1], widths, CLASSES)),
        lambda weights: torch.optim.Adam(weights, lr=3e-3),
        cross_entropy, epochs, 64,
    )  # fmt: skip
    seeds = torch.randint(2**62, (networks,), generator=generator).tolist()
    sources = [torch.Generator().manual_seed(seed) for seed in seeds]
    found = ensemble_trainer(recipe)(Split(train, images.targets), sources)
    with torch.no_grad():
        right = [(net(test).argmax(1) == images.test_targets).double().mean() for net in found]
    return Classifiers(found, train, test, torch.stack(right).mean().item())


def answers(
    networks: list[nn.Module], inputs: Float[Tensor, "n d"]
) -> Float[Tensor, "networks n classes"]:
    """The logits of all networks."""
    with torch.no_grad():
        return torch.stack([net(inputs) for net in networks])
