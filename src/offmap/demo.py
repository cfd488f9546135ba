"""The built-in run: handwritten digits, offline, trained in seconds."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from offmap.attempt import InputError
from offmap.models.cnn import CNN
from offmap.run import Domain, Recipe, Split, TrainingRun
from offmap.train import HistoryRecorder, trainer

TRAIN = 1200  # of the 1,797 digits; the rest is test


def demo(name: str, *, seed: int = 0) -> TrainingRun:
    """A built-in run by name. There is one: `digits`.

    Raises:
        InputError: If there is no such demo.
    """
    if name != "digits":
        raise InputError(f"expected a demo called digits, got {name!r}")
    return digits(seed=seed)


def digits(*, seed: int = 0, epochs: int = 15) -> TrainingRun:
    """scikit-learn's digits (8 x 8 pixels, ten classes) and a small convolutional network.

    The shifts are made from the test digits: noise, low contrast, a brighter background, a
    rotation, one pixel to the side. Groups are thirds of the ink in a picture.

    Args:
        seed: Of the split, the training and the noise.
        epochs: Passes over the training data.
    """
    generator = torch.Generator().manual_seed(seed)
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=generator)
    images = torch.tensor(pixels, dtype=torch.float32)[order].view(-1, 1, 8, 8) / 16
    labels = torch.tensor(classes, dtype=torch.int64)[order]

    train = Split(images[:TRAIN], labels[:TRAIN], groups=_ink(images[:TRAIN]), name="train")
    test = Split(images[TRAIN:], labels[TRAIN:], groups=_ink(images[TRAIN:]), name="test")
    recipe = Recipe(
        build=_build,
        optimizer=_optimizer,
        loss=functional.cross_entropy,
        epochs=epochs,
        batch_size=64,
    )
    recorder = HistoryRecorder(train)
    model = trainer(recipe, observe=recorder)(train, generator)
    return TrainingRun(
        model=model,
        train=train,
        test=test,
        shifts={
            name: Split(moved, labels[TRAIN:], groups=test.groups)
            for name, moved in _shifted(images[TRAIN:], generator).items()
        },
        domain=Domain((1, 8, 8), torch.float32, 0.0, 1.0, "image"),
        history=recorder.history,
        recipe=recipe,
        class_names=[str(digit) for digit in range(10)],
        name="digits",
    )


def _build() -> nn.Module:
    return CNN(1, 10, width=16, size=8)


def _optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=3e-3)


def _ink(images: Float[Tensor, "n 1 h w"]) -> Int[Tensor, " n"]:
    """Which third of the training pictures' ink each picture falls into."""
    return torch.bucketize(images.mean(dim=(1, 2, 3)), torch.tensor([0.28, 0.33]))


def _shifted(
    images: Float[Tensor, "n 1 h w"], generator: torch.Generator
) -> dict[str, Float[Tensor, "n 1 h w"]]:
    noise = torch.randn(images.shape, generator=generator)
    return {
        "noise": (images + 0.2 * noise).clamp(0, 1),
        "contrast": 0.4 * images + 0.3,
        "background": (images + 0.3).clamp(0, 1),
        "rotation": _rotated(images, degrees=25.0),
        "sideways": images.roll(1, dims=-1),
    }


def _rotated(images: Float[Tensor, "n 1 h w"], degrees: float) -> Float[Tensor, "n 1 h w"]:
    angle = torch.deg2rad(torch.tensor(degrees))
    turn = torch.stack(
        [
            torch.stack([angle.cos(), -angle.sin(), torch.tensor(0.0)]),
            torch.stack([angle.sin(), angle.cos(), torch.tensor(0.0)]),
        ]
    )
    grid = functional.affine_grid(
        turn.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, align_corners=False).clamp(0, 1)
