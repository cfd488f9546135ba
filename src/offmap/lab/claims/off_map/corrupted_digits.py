"""Digits and what may befall them: how far each lies from train, and whether it is mistaken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import rankdata
from torch import Tensor, nn

from offmap.figures import Curve
from offmap.lab.data import digits
from offmap.models.mlp import MLP
from offmap.numerics.neighbors import search
from offmap.run import Recipe, Split
from offmap.train import trainer

Pictures = Float[Tensor, "n 1 8 8"]
Corrupt = Callable[[Pictures, int, torch.Generator], Pictures]
LEVELS = (1, 2, 3, 4)


def _noise(x: Pictures, level: int, generator: torch.Generator) -> Pictures:
    return x + 0.12 * level * torch.randn(x.shape, generator=generator)


def _brightness(x: Pictures, level: int, generator: torch.Generator) -> Pictures:
    return x + 0.15 * level


def _contrast(x: Pictures, level: int, generator: torch.Generator) -> Pictures:
    return x * 0.7**level


def _blur(x: Pictures, level: int, generator: torch.Generator) -> Pictures:
    for _ in range(level):
        x = nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
    return x


def _shift(x: Pictures, level: int, generator: torch.Generator) -> Pictures:
    reach = (level + 1) // 2  # one or two pixels, to the right or down
    return torch.roll(x, reach, dims=3 if level % 2 else 2)


def _occlusion(x: Pictures, level: int, generator: torch.Generator) -> Pictures:
    side = level + 1
    top, left = torch.randint(9 - side, (2, len(x), 1, 1, 1), generator=generator)
    row, column = torch.arange(8).view(8, 1), torch.arange(8).view(1, 8)
    across = (column >= left) & (column < left + side)
    return torch.where((row >= top) & (row < top + side) & across, 0.0, x)


KINDS: Mapping[str, Corrupt] = {
    "noise": _noise, "brightness": _brightness, "contrast": _contrast, "blur": _blur,
    "shift": _shift, "occlusion": _occlusion,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Corrupted:
    """Test digits under one kind of corruption, at all levels: distances to train, and mistakes."""

    by_input: Float[Tensor, " n"]
    by_feature: Float[Tensor, " n"]
    wrong: Bool[Tensor, " n"]

    @property
    def rank(self) -> float:
        """Spearman's correlation of input distance and mistakes."""
        return rank(self.by_input, self.wrong)


def rank(distance: Float[Tensor, " n"], wrong: Bool[Tensor, " n"] | Float[Tensor, " n"]) -> float:
    """Spearman's correlation, ties sharing their mean rank."""
    ranks = [rankdata(values.numpy()) for values in (distance, wrong)]
    return float(np.corrcoef(*ranks)[0, 1])


def corrupted(*, epochs: int, examples: int, generator: torch.Generator) -> dict[str, Corrupted]:
    """A network of two hidden layers, trained on plain digits, meets each kind of corruption.

    Raises:
        TypeError: If what was trained has no hidden layers.
    """
    sets = digits()
    recipe = Recipe(
        build=lambda: MLP(64),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=3e-3),
        loss=nn.functional.cross_entropy,
        epochs=epochs,
        batch_size=64,
    )
    model = trainer(recipe)(Split(sets.inputs, sets.targets), generator)
    if not isinstance(model, MLP):
        raise TypeError(f"expected an MLP, got {type(model)}")
    rows = torch.randperm(len(sets.test_inputs), generator=generator)[:examples]
    targets = sets.test_targets[rows].repeat(len(LEVELS))
    found = {}
    with torch.no_grad():
        bank = model.body(sets.inputs)
        for kind, corrupt in KINDS.items():
            pictures = [corrupt(sets.test_inputs[rows], level, generator) for level in LEVELS]
            inputs = torch.cat(pictures)
            features = model.body(inputs)
            found[kind] = Corrupted(
                search(inputs, sets.inputs, k=1).distance[:, 0],
                search(features, bank, k=1).distance[:, 0],
                model.head(features).argmax(dim=1) != targets,
            )
    return found


def error_by_tenth(title: str, found: Mapping[str, tuple[Tensor, Tensor]]) -> Curve:
    """Share of mistakes in each tenth of distance, nearest first; from (distance, wrong)."""
    series = {}
    for name, (distance, wrong) in found.items():
        tenths = wrong[distance.argsort()].double().tensor_split(10)
        series[name] = torch.stack([tenth.mean() for tenth in tenths])
    return Curve(title, "tenth, nearest first", "error", torch.arange(1.0, 11.0), series)
