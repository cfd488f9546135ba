"""Networks for the benchmark of the scores: each trained without two classes, which are strangers.

Five seeds leave out five pairs of classes, so that each of the ten classes is a stranger once.
Weights are kept as safetensors, so that a run which was stopped goes on where it was.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from offmap import Domain, Recipe, Split, load_split, trainer
from offmap.models import CNN, load_weights
from offmap.passes import evaluating

STRANGERS = 2000  # rows of a foreign data set, of the left-out classes, of any family
Pair = tuple[Tensor, Tensor]  # images [n, c, h, w] in [0, 1], classes [n]


@dataclass(frozen=True)
class World:
    """One trained network, its data, and real strangers that nobody showed it.

    `calibration` and `test` are a random partition of the official test data: exchangeable.
    """

    name: str
    seed: int
    left_out: tuple[int, ...]
    model: nn.Module
    train: Split
    calibration: Split
    test: Split
    domain: Domain
    recipe: Recipe
    strangers: Mapping[str, Split]
    accuracy: float


@dataclass(frozen=True)
class Kind:
    """How a data set is read and its networks trained."""

    read: Callable[[Path], tuple[Pair, Pair]]  # official train and test data
    build: Callable[[], nn.Module]
    epochs: int
    batch_size: int
    rate: float
    train: int
    calibration: int
    foreign: tuple[str, ...]


def pair(path: Path, name: str) -> Pair:
    """All images and classes of a split of a file."""
    split = load_split(path, name=name)
    return split.inputs.contiguous(), split.targets.long()


@cache
def arrays(path: Path) -> tuple[Pair, Pair]:
    """Train and test data of an npz file."""
    return pair(path, "train"), pair(path, "test")


@cache
def cifar10(folder: Path) -> tuple[Pair, Pair]:
    """Train and test data out of the parquet files."""
    return pair(folder / "cifar10-train.parquet", "train"), pair(
        folder / "cifar10-test.parquet", "test"
    )


def mnist(folder: Path) -> tuple[Pair, Pair]:
    """MNIST."""
    return arrays(folder / "mnist.npz")


def fashion(folder: Path) -> tuple[Pair, Pair]:
    """Fashion-MNIST."""
    return arrays(folder / "fashion_mnist.npz")


@cache
def digits(_: Path) -> tuple[Pair, Pair]:
    """scikit-learn's digits, 1,000 of which are for training."""
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(pixels, dtype=torch.float32)[order].view(-1, 1, 8, 8) / 16
    labels = torch.tensor(classes, dtype=torch.int64)[order]
    return (images[:1000], labels[:1000]), (images[1000:], labels[1000:])


def _photographs() -> nn.Module:
    """A network for CIFAR-10, in the layout of memory that is fastest on CPUs."""
    model = CNN(3, 8, 16, 32)
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return model


KINDS = {
    "digits": Kind(
        digits, partial(CNN, 1, 8, 16, 8), 15, 64, 3e-3, 1000, 300, ("fashion", "cifar10")
    ),
    "mnist": Kind(
        mnist, partial(CNN, 1, 8, 16, 28), 6, 128, 2e-3, 20_000, 2000, ("fashion", "cifar10")
    ),
    "fashion": Kind(
        fashion, partial(CNN, 1, 8, 16, 28), 4, 128, 2e-3, 20_000, 2000, ("mnist", "cifar10")
    ),
    "cifar10": Kind(cifar10, _photographs, 8, 128, 4e-3, 20_000, 2000, ("mnist", "fashion")),
}
READ = {"fashion": fashion, "mnist": mnist, "cifar10": cifar10}


def world(kind: str, seed: int, data: Path, work: Path) -> World:
    """The world of that data set and seed; trained once, then loaded from `work`."""
    how = KINDS[kind]
    left_out = (2 * seed % 10, 2 * seed % 10 + 1)
    (train_x, train_y), (test_x, test_y) = how.read(data)
    generator = torch.Generator().manual_seed(seed)
    kept = [c for c in range(10) if c not in left_out]
    train = _of_classes(train_x, train_y, kept, how.train, generator, "train")
    held = _of_classes(test_x, test_y, kept, len(test_y), generator, "test")
    recipe = Recipe(
        how.build,
        partial(_optimizer, rate=how.rate),
        functional.cross_entropy,
        how.epochs,
        how.batch_size,
        _schedule,
    )
    model = _trained(recipe, train, work / f"{kind}-{seed}.safetensors", seed)
    test = held.window(how.calibration, len(held)).renamed("test")
    shape = tuple(train.shape)
    foreign = {name: _fitted(READ[name](data)[1][0][:STRANGERS], shape) for name in how.foreign}
    gone = [
        x[torch.isin(y, torch.tensor(left_out))] for x, y in ((test_x, test_y), (train_x, train_y))
    ]
    return World(
        kind,
        seed,
        left_out,
        model,
        train,
        held.window(0, how.calibration).renamed("calibration"),
        test,
        Domain(shape, torch.float32, 0.0, 1.0, "image"),
        recipe,
        {"held-out classes": Split(torch.cat(gone)[:STRANGERS], name="held-out classes")}
        | {name: Split(images, name=name) for name, images in foreign.items()},
        _accuracy(model, test),
    )


def _of_classes(
    images: Tensor,
    labels: Tensor,
    kept: list[int],
    most: int,
    generator: torch.Generator,
    name: str,
) -> Split:
    """A random order of the rows of the kept classes, which are numbered anew."""
    rows = torch.isin(labels, torch.tensor(kept)).nonzero().flatten()
    rows = rows[torch.randperm(len(rows), generator=generator)[:most]]
    number = torch.full((10,), -1).scatter(0, torch.tensor(kept), torch.arange(len(kept)))
    return Split(images[rows], number[labels[rows]], name=name)


def _trained(recipe: Recipe, train: Split, path: Path, seed: int) -> nn.Module:
    if path.exists():
        model = recipe.build()
        load_weights(model, path)
        return model.eval()
    model = trainer(recipe)(train, torch.Generator().manual_seed(1000 + seed))
    part = path.with_suffix(".part")
    save_file({name: w.contiguous() for name, w in model.state_dict().items()}, part)
    part.rename(path)
    return model


def _optimizer(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=rate)


def _schedule(
    optimizer: torch.optim.Optimizer, updates: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Up in the first fifth, down to nothing at the end."""

    def factor(update: int) -> float:
        done = (update + 1) / (updates + 1)
        return min(done / 0.2, (1 - done) / 0.8)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _fitted(images: Float[Tensor, "n c h w"], shape: tuple[int, ...]) -> Tensor:
    """Images in the size and number of channels of another data set."""
    if images.shape[1] != shape[0]:
        one = images.mean(dim=1, keepdim=True)
        images = one.expand(-1, shape[0], -1, -1)
    if images.shape[2:] != shape[1:]:
        images = functional.interpolate(
            images, size=shape[1:], mode="bilinear", antialias=True, align_corners=False
        )
    return images.clamp(0, 1).contiguous()


def _accuracy(model: nn.Module, test: Split) -> float:
    with evaluating(model):
        hits = [(model(b.inputs).argmax(1) == b.targets).double() for b in test.batches(500)]
    return torch.cat(hits).mean().item()
