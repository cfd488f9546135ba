"""A run file: a small CNN on MNIST, with Fashion-MNIST and rotated digits as shifts.

    offmap plan examples/mnist.py -P data=PATH/TO/DATA
    offmap audit examples/mnist.py -P data=PATH/TO/DATA --max-cost many_passes --out mnist-report

`data` is a folder with `mnist.npz` and `fashion_mnist.npz` (arrays `x_train`, `y_train`, `x_test`,
`y_test`). The first call trains the network and saves its weights; later calls load them.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from offmap import Domain, Recipe, Split, TrainingRun, load_split, trainer
from offmap.models import CNN, load_weights


def run(
    data: str, weights: str = "mnist-cnn.safetensors", epochs: int = 2, width: int = 16
) -> TrainingRun:
    """The audited run.

    Args:
        data: Folder of the data sets.
        weights: File of the weights; made where it does not exist.
        epochs: Passes over the 60,000 training images.
        width: Channels after the first convolution.
    """
    folder = Path(data)
    train = load_split(folder / "mnist.npz", name="train")
    test = load_split(folder / "mnist.npz", name="test")
    recipe = Recipe(
        build=partial(CNN, 1, 10, width=width, size=28),
        optimizer=_optimizer,
        loss=functional.cross_entropy,
        epochs=epochs,
        batch_size=128,
    )
    return TrainingRun(
        model=_trained(recipe, train, Path(weights)),
        train=train,
        test=test,
        shifts={
            "fashion": _unlabeled(load_split(folder / "fashion_mnist.npz", name="test")),
            "rotated": Split(_rotated(test.inputs, degrees=30.0), test.targets),
        },
        domain=Domain((1, 28, 28), torch.float32, 0.0, 1.0, "image"),
        recipe=recipe,
        class_names=[str(digit) for digit in range(10)],
        name="MNIST CNN",
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


def _unlabeled(split: Split) -> Split:
    """Clothes are no digits: the network has no right answer for them."""
    return Split(split.table)


def _rotated(images: Tensor, degrees: float) -> Tensor:
    """Images [n, 1, h, w], turned about their middle."""
    angle = torch.deg2rad(torch.tensor(degrees))
    turn = torch.tensor([[angle.cos(), -angle.sin(), 0.0], [angle.sin(), angle.cos(), 0.0]])
    pieces = []
    for batch in images.split(1000):
        where = functional.affine_grid(
            turn.expand(len(batch), 2, 3), list(batch.shape), align_corners=False
        )
        pieces.append(functional.grid_sample(batch, where, align_corners=False))
    return torch.cat(pieces).clamp(0, 1)
