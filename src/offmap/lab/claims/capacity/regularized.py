"""What claims on the need for regularization share: many ways to regularize one network."""

from collections.abc import Mapping
from typing import Any

import torch

from offmap.estimate import replicates
from offmap.figures import Bars
from offmap.lab.claim import Scale
from offmap.lab.claims.capacity.arms import Arm, accuracy, adam, draw, train
from offmap.lab.data import Images

PLAIN, TOGETHER, MOVED = "none", "all three", "moved pictures"
ARMS: Mapping[str, Arm] = {
    PLAIN: Arm(),
    "weight decay": Arm(decay=1e-3),
    "dropout": Arm(dropout=0.5),
    "input noise": Arm(input_noise=0.1),
    TOGETHER: Arm(decay=1e-3, dropout=0.5, input_noise=0.1),
    MOVED: Arm(shift=True),
}
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 100, "repeats": 3, "width": 64, "epochs": 50, "batch_size": 50, "rate": 0.01},
    "desk": {"n": 300, "repeats": 4, "width": 128, "epochs": 150, "batch_size": 64, "rate": 1e-3},
    "full": {"n": 300, "repeats": 16, "width": 256, "epochs": 300, "batch_size": 64, "rate": 1e-3},
}


def accuracies(
    arms: Mapping[str, Arm], *, n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator, images: Images | None = None,
) -> tuple[dict[str, float], dict[str, float], Bars]:  # fmt: skip
    """Train two hidden layers by each arm, all for the same number of steps.

    Returns:
        Accuracy on held-out pictures, accuracy on the labels trained on, and the first as bars.
    """
    problem = draw(n, repeats, images=images, generator=generator)
    networks = train(
        problem, list(arms.values()), hidden=(width, width), epochs=epochs, batch_size=batch_size,
        rule=adam(rate), generator=generator,
    )  # fmt: skip
    right = accuracy(networks, problem)
    bars = Bars(
        "Accuracy on held-out pictures", "accuracy",
        {name: replicates(values) for name, values in zip(arms, right, strict=True)},
    )  # fmt: skip
    held_out = dict(zip(arms, right.mean(dim=1).tolist(), strict=True))
    known = dict(zip(arms, networks.hits[-1].mean(dim=1).tolist(), strict=True))
    return held_out, known, bars
