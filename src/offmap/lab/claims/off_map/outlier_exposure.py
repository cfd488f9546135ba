"""Digits networks trained to be unsure of outliers, and the outliers that still pass as digits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import one_hot

from offmap.lab import data
from offmap.lab.claim import Scale
from offmap.models.mlp import MLP
from offmap.numerics.detection import detect
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

PIXELS, CLASSES = 64, 10
OUTLIER_WEIGHT = 0.5  # of the loss on outliers, as in the paper's vision experiments
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"epochs": 12, "batch_size": 200},
    "desk": {"epochs": 60, "batch_size": 128},
    "full": {"epochs": 200, "batch_size": 64},
}
Digits = tuple[Float[Tensor, "m 64"], Int64[Tensor, " m"]]


def uniform(_: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """Every pixel by itself, uniform."""
    return torch.rand(n, PIXELS, generator=generator)


def normal(_: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """Every pixel by itself, normal, cut to the range of pixels."""
    return (0.5 + 0.5 * torch.randn(n, PIXELS, generator=generator)).clamp(0, 1)


def binary(_: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """Every pixel by itself, black or white."""
    return torch.randint(2, (n, PIXELS), generator=generator).float()


def constant(_: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """One gray all over."""
    return torch.rand(n, 1, generator=generator).repeat(1, PIXELS)


def blocks(_: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """Squares of two by two pixels, each of a gray of its own."""
    coarse = torch.rand(n, 4, 4, generator=generator)
    return coarse.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2).flatten(1)


def permuted(digits: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """Digits whose pixels change places, each in another way."""
    order = torch.rand(n, PIXELS, generator=generator).argsort(dim=1)
    return _pick(digits, n, generator).gather(1, order)


def inverted(digits: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """Digits with black and white exchanged."""
    return 1 - _pick(digits, n, generator)


def mixture(digits: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """The mean of two digits of different classes."""
    first, second = _pairs(digits, n, generator)
    return (first + second) / 2


def splice(digits: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    """The upper half of one digit over the lower half of another, of different classes."""
    first, second = _pairs(digits, n, generator)
    return torch.cat([first[:, : PIXELS // 2], second[:, PIXELS // 2 :]], dim=1)


NOISE = (uniform, normal, binary, constant, blocks)
FAR, NEAR = (*NOISE, permuted, inverted), (mixture, splice)
Family = Callable[[Digits, int, torch.Generator], Tensor]


def train(
    exposures: Sequence[Sequence[Family]], epochs: int, batch_size: int, generator: torch.Generator
) -> list[nn.Module]:
    r"""One network for each set of families, all in one pass.

    .. math:: \mathrm{CE}(\mathrm{digits}) + 0.5\, \mathrm{CE}(\mathrm{outliers})

    The classes of an outlier are all alike to the loss.

    Args:
        exposures: Families that each network is trained against; none: digits alone.
        epochs: Passes over as many outliers as digits.
        batch_size: Digits and outliers in an update.
        generator: Source of outliers and weights.
    """
    images = data.digits()
    digits = (images.inputs.flatten(1), images.targets)
    splits = [_exposed(digits, families, generator) for families in exposures]
    recipe = Recipe(
        lambda: MLP(PIXELS, (128,), CLASSES),
        lambda weights: torch.optim.Adam(weights, lr=2e-3),
        soft_cross_entropy,
        epochs,
        batch_size,
    )
    seeds = torch.randint(2**62, (len(exposures),), generator=generator).tolist()
    return ensemble_trainer(recipe)(splits, [torch.Generator().manual_seed(s) for s in seeds])


def soft_cross_entropy(scores: Float[Tensor, "n c"], targets: Float[Tensor, "n c"]) -> Tensor:
    """Cross entropy of weights over classes; a row counts by the sum of its weights."""
    return -(targets * scores.log_softmax(dim=1)).sum(dim=1).mean()


def passing(
    model: nn.Module, families: Sequence[Family], generator: torch.Generator
) -> dict[str, float]:
    """Share of each family's outliers that pass where 95 % of the test digits do.

    The score is the largest probability.
    """
    images = data.digits()
    digits = (images.test_inputs.flatten(1), images.test_targets)
    familiar = doubt(model, digits[0])
    return {
        family.__name__: detect(familiar, doubt(model, family(digits, 500, generator))).fpr.item()
        for family in families
    }


@torch.no_grad()
def doubt(model: nn.Module, inputs: Float[Tensor, "n 64"]) -> Float[Tensor, " n"]:
    """One minus the largest probability."""
    return 1 - model(inputs).double().softmax(dim=1).amax(dim=1)


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """On the test digits."""
    images = data.digits()
    hits = model(images.test_inputs.flatten(1)).argmax(dim=1) == images.test_targets
    return hits.double().mean().item()


def _exposed(digits: Digits, families: Sequence[Family], generator: torch.Generator) -> Split:
    """Digits, and as many outliers; without families the digits again, at the outliers' weight."""
    inputs, classes = digits
    right, n = one_hot(classes, CLASSES).float(), len(inputs)
    each = -(-n // max(1, len(families)))
    made = [family(digits, each, generator) for family in families]
    others = torch.cat(made)[:n] if made else inputs
    unsure = torch.full_like(right, 1 / CLASSES) if made else right
    return Split(torch.cat([inputs, others]), torch.cat([right, OUTLIER_WEIGHT * unsure]))


def _pick(digits: Digits, n: int, generator: torch.Generator) -> Float[Tensor, "n 64"]:
    return digits[0][torch.randint(len(digits[0]), (n,), generator=generator)]


def _pairs(
    digits: Digits, n: int, generator: torch.Generator
) -> tuple[Float[Tensor, "n 64"], Float[Tensor, "n 64"]]:
    """Two digits of different classes, n times."""
    inputs, classes = digits
    first = torch.randint(len(inputs), (n,), generator=generator)
    weight = (classes[first][:, None] != classes).double()
    second = torch.multinomial(weight, 1, generator=generator)[:, 0]
    return inputs[first], inputs[second]
