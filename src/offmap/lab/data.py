"""Data that claims are tried on: scikit-learn's digits, and public sets from the user's folder."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from torch import Tensor

from offmap.attempt import InputError
from offmap.sources.load import load_split

FILES = {
    "mnist": ("mnist.npz",),
    "fashion_mnist": ("fashion_mnist.npz",),
    "cifar10": ("cifar10-train.parquet", "cifar10-test.parquet"),
}
DIGITS_TRAIN = 1200


class Images(NamedTuple):
    """A set of labeled images: inputs [n c h w] from 0 to 1, targets [n]."""

    inputs: Float[Tensor, "n c h w"]
    targets: Int[Tensor, " n"]
    test_inputs: Float[Tensor, "m c h w"]
    test_targets: Int[Tensor, " m"]


@lru_cache(maxsize=1)
def digits() -> Images:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, the first 1,200 of a fixed order to train on."""
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))
    inputs = torch.tensor(pixels, dtype=torch.float32)[order].view(-1, 1, 8, 8) / 16
    targets = torch.tensor(classes, dtype=torch.int64)[order]
    n = DIGITS_TRAIN
    return Images(inputs[:n], targets[:n], inputs[n:], targets[n:])


@lru_cache(maxsize=2)
def read(name: str, folder: Path | None) -> Images:
    """A public set of images, from the folder that the user gave.

    Args:
        name: mnist, fashion_mnist or cifar10.
        folder: Where its files lie.

    Raises:
        InputError: If a file is missing or cannot be read.
    """
    first, last = (files((name,), folder) * 2)[:2]  # one file may hold both splits
    train, test = load_split(first, name="train"), load_split(last, name="test")
    return Images(train.inputs, train.targets.long(), test.inputs, test.targets.long())


def files(names: Sequence[str], folder: Path | None) -> list[Path]:
    """The files of these data sets.

    Raises:
        InputError: If there is no folder, or a file is not in it.
    """
    wanted = [file for name in names for file in FILES[name]]
    if folder is None and wanted:
        raise InputError(
            f"expected a folder with {', '.join(wanted)}, got none: give --data FOLDER, or set "
            "OFFMAP_DATA"
        )
    paths = [folder / file for file in wanted] if folder is not None else []
    for path in paths:
        if not path.is_file():
            raise InputError(f"expected {path.name} in {path.parent}, got no such file")
    return paths


@lru_cache(maxsize=16)
def fingerprint(path: Path) -> str:
    """Of the content of a file."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
