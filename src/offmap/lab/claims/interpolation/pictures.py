"""Pictures, drawn anew into training and test examples, and a network that learns them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from offmap.lab.data import Images, digits
from offmap.models.mlp import MLP
from offmap.numerics.principal import principal_components
from offmap.run import Recipe, Split
from offmap.train import trainer

BATCH, RATE = 64, 5e-3


class Drawn(NamedTuple):
    """Flat pictures to learn from and to be tested on."""

    train: Float[Tensor, "n d"]
    targets: Int[Tensor, " n"]
    test: Float[Tensor, "m d"]
    test_targets: Int[Tensor, " m"]


def drawn(images: Images, train: int, test: int, *, generator: torch.Generator) -> Drawn:
    """So many to train on and to test on, at random among all pictures, none of them twice."""
    inputs = torch.cat((images.inputs, images.test_inputs)).flatten(1)
    targets = torch.cat((images.targets, images.test_targets))
    order = torch.randperm(len(inputs), generator=generator)
    first, last = order[:train], order[train : train + test]
    return Drawn(inputs[first], targets[first], inputs[last], targets[last])


def sets(
    data: Mapping[str, Images], sizes: Mapping[str, tuple[int, int]], *, generator: torch.Generator
) -> dict[str, Drawn]:
    """scikit-learn's digits, and every public set that was given, by name; sizes as of `drawn`."""
    every = {"digits": digits(), **data}
    return {
        name: drawn(images, *sizes[name], generator=generator) for name, images in every.items()
    }


def components(
    train: Float[Tensor, "n d"],
    test: Float[Tensor, "m d"],
    most: int,
    *,
    generator: torch.Generator,
) -> tuple[Float64[Tensor, "n k"], Float64[Tensor, "m k"]]:
    """Both in the first principal components of the training examples, of unit variance."""
    found = principal_components(train, most, generator=generator)
    return found.project(train), found.project(test)


def learned(
    pictures: Drawn, *, hidden: tuple[int, ...], epochs: int, generator: torch.Generator
) -> nn.Module:
    """A network of these widths that was trained on the training examples."""
    recipe = Recipe(
        build=lambda: MLP(pictures.train.shape[1], hidden, 10),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=RATE),
        loss=nn.functional.cross_entropy,
        epochs=epochs,
        batch_size=BATCH,
    )
    return trainer(recipe)(Split(pictures.train, pictures.targets), generator)


def wrong(
    model: nn.Module, inputs: Float[Tensor, "n d"], targets: Int[Tensor, " n"]
) -> Bool[Tensor, " n"]:
    """Which examples the model mistakes."""
    with torch.no_grad():
        return model(inputs).argmax(dim=1) != targets
