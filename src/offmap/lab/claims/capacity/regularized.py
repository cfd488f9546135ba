"""What claims on the need for regularization share: many ways to regularize one network."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from offmap.estimate import replicates
from offmap.figures import Bars
from offmap.lab.claim import Scale
from offmap.lab.claims.capacity.arms import Arm, draw
from offmap.lab.claims.capacity.training import accuracy, adam, train

PLAIN, MOVED = "none", "moved pictures"
ALONE: Mapping[str, Arm] = {
    PLAIN: Arm(),
    "weight decay": Arm(decay=1e-3),
    "dropout": Arm(dropout=0.5),
    "input noise": Arm(input_noise=0.1),
}
ARMS: Mapping[str, Arm] = {
    **ALONE,
    "all three": Arm(decay=1e-3, dropout=0.5, input_noise=0.1),
    MOVED: Arm(shift=1.0),
}
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 100, "repeats": 3, "width": 64, "epochs": 50, "batch_size": 50, "rate": 0.01},
    "desk": {"n": 300, "repeats": 3, "width": 128, "epochs": 100, "batch_size": 64, "rate": 2e-3},
    "full": {"n": 300, "repeats": 16, "width": 256, "epochs": 300, "batch_size": 64, "rate": 1e-3},
}


class Accuracies(NamedTuple):
    """Of each arm, on held-out digits and on the labels trained on: means, and as bars."""

    held_out: dict[str, float]
    known: dict[str, float]
    figure: Bars
    stored: Bars


def accuracies(
    arms: Mapping[str, Arm], *, n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator,
) -> Accuracies:  # fmt: skip
    """Train two hidden layers on digits by each arm, all for the same number of steps."""
    problem = draw(n, repeats, generator=generator)
    networks = train(
        problem, list(arms.values()), hidden=(width, width), epochs=epochs, batch_size=batch_size,
        rule=adam(rate), generator=generator,
    )  # fmt: skip
    right, known = accuracy(networks, problem), networks.hits[-1]

    def means(values: Tensor) -> dict[str, float]:
        return dict(zip(arms, values.mean(dim=1).tolist(), strict=True))

    def bars(title: str, label: str, values: Tensor) -> Bars:
        return Bars(title, label, {k: replicates(v) for k, v in zip(arms, values, strict=True)})

    return Accuracies(
        means(right),
        means(known),
        bars("What each way of training reaches", "accuracy on held-out digits", right),
        bars("What each way of training stores", "labels fitted", known),
    )
