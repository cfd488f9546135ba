"""A run file: a small CNN on CIFAR-10 from parquet files, with gray and dark pictures as shifts.

    offmap audit examples/cifar10.py -P data=PATH/TO/DATA --max-cost many_passes --out cifar-report

`data` is a folder with `cifar10-train.parquet` and `cifar10-test.parquet`: a column `image` of
encoded pictures and a column `label`, the layout of Hugging Face image data sets. The first call
trains the network and saves its weights; later calls load them.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from offmap import Recipe, Split, TrainingRun, load_split, trainer
from offmap.models import CNN, load_weights

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def run(
    data: str, weights: str = "cifar10-cnn.safetensors", epochs: int = 4, width: int = 24
) -> TrainingRun:
    """The audited run.

    Args:
        data: Folder of the data sets.
        weights: File of the weights; made where it does not exist.
        epochs: Passes over the 50,000 training images.
        width: Channels after the first convolution.
    """
    folder = Path(data)
    train = load_split(folder / "cifar10-train.parquet", name="train")
    test = load_split(folder / "cifar10-test.parquet", name="test")
    recipe = Recipe(
        build=partial(CNN, 3, 10, width=width, size=32),
        optimizer=_optimizer,
        loss=functional.cross_entropy,
        epochs=epochs,
        batch_size=128,
    )
    images, few = test.inputs, slice(0, 2000)
    gray = images.mean(dim=1, keepdim=True).expand_as(images)
    return TrainingRun(
        model=_trained(recipe, train, Path(weights)),
        train=train,
        test=test,
        shifts={
            "gray": Split(gray[few].contiguous(), test.targets[few]),
            "dark": Split(0.4 * images[few], test.targets[few]),
        },
        recipe=recipe,
        class_names=CLASSES,
        name="CIFAR-10 CNN",
    )


def _optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=2e-3)


def _trained(recipe: Recipe, train: Split, weights: Path) -> nn.Module:
    if weights.exists():
        model = recipe.build()
        load_weights(model, weights)
        return model
    model = trainer(recipe)(train, torch.Generator().manual_seed(0))
    save_file(model.state_dict(), weights)
    return model
