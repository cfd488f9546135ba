"""Sixteen small networks trained together, against one after another, on digits.

    python benchmarks/ensemble.py

Prints how many times faster they are together, and how far their weights lie apart.
"""

import torch
from common import interleaved
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from offmap import Recipe, Split, trainer
from offmap.train import ensemble_trainer

NETWORKS = 16


def build() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(NETWORKS)]


def main() -> None:
    pixels, classes = load_digits(return_X_y=True)
    split = Split(torch.tensor(pixels, dtype=torch.float32) / 16, torch.tensor(classes))
    recipe = Recipe(
        build=build,
        optimizer=lambda weights: torch.optim.Adam(weights, lr=1e-3),
        loss=cross_entropy,
        epochs=3,
        batch_size=64,
    )
    together, alone = ensemble_trainer(recipe), trainer(recipe)
    apart = max(
        float((one.state_dict()[name] - other.state_dict()[name]).abs().max())
        for one, other in zip(
            together(split, generators()),
            [alone(split, generator) for generator in generators()],
            strict=True,
        )
        for name in one.state_dict()
    )
    seconds = interleaved({
        "alone": lambda: [alone(split, generator) for generator in generators()],
        "together": lambda: together(split, generators()),
    })  # fmt: skip
    ratio = seconds["alone"] / seconds["together"]
    print(f"{NETWORKS} networks together: {ratio:.1f}x faster than one after another")
    print(f"largest difference of a weight: {apart:.1e}")


if __name__ == "__main__":
    main()
