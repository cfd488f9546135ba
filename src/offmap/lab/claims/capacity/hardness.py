"""What claims on hard training share: how long each arm struggles, and what it is worth."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Scatter
from offmap.lab.claim import Scale
from offmap.lab.claims.capacity.arms import Arm, draw
from offmap.lab.claims.capacity.training import accuracy, adam, train

REGULARIZERS: Mapping[str, Arm] = {
    "weight decay": Arm(decay=1e-3),
    "dropout": Arm(dropout=0.5),
    "input noise": Arm(input_noise=0.1),
    "more input noise": Arm(input_noise=0.3),
    "activation noise": Arm(activation_noise=0.5),
}
OBSTACLES: Mapping[str, Arm] = {
    "small steps": Arm(pace=0.1),
    "frozen first layer": Arm(frozen=True),
    "small initial weights": Arm(init=0.3),
    "wrong signs": Arm(flips=0.4),
}
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 100, "repeats": 3, "width": 64, "epochs": 40, "batch_size": 50, "rate": 0.01},
    "desk": {"n": 300, "repeats": 2, "width": 128, "epochs": 100, "batch_size": 64, "rate": 2e-3},
    "full": {"n": 300, "repeats": 16, "width": 256, "epochs": 300, "batch_size": 64, "rate": 1e-3},
}


class Struggle(NamedTuple):
    """Of each arm, plain training first.

    Args:
        hardness: Training loss, on the examples as they are, mean over all epochs.
        held_out: Test accuracy.
        gap: Training accuracy minus test accuracy.
        figure: Hardness and test accuracy.
    """

    hardness: Float[Tensor, "arms"]
    held_out: Float[Tensor, "arms"]
    gap: Float[Tensor, "arms"]
    figure: Scatter

    def parts(self, arms: Mapping[str, Arm]) -> dict[str, float]:
        """Numbers by name."""
        return {
            f"{name}: {what}": value
            for what, values in (("hardness", self.hardness), ("test accuracy", self.held_out))
            for name, value in zip(("plain", *arms), values.tolist(), strict=True)
        }


def struggle(
    arms: Mapping[str, Arm], *, n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator,
) -> Struggle:  # fmt: skip
    """Two hidden layers on digits, plainly and by each arm, for the same number of steps."""
    problem = draw(n, repeats, generator=generator)
    networks = train(
        problem, [Arm(), *arms.values()], hidden=(width, width), epochs=epochs,
        batch_size=batch_size, rule=adam(rate), generator=generator, watch=True,
    )  # fmt: skip
    hardness = networks.losses.mean(dim=(0, 2)).double()
    held_out = accuracy(networks, problem).mean(dim=1).double()
    gap = networks.hits[-1].mean(dim=1).double() - held_out
    kinds = ["plain" if name == "plain" else "regularizer" if name in REGULARIZERS else "obstacle"
             for name in ("plain", *arms)]  # fmt: skip
    figure = Scatter(
        "Is what makes training harder good for it?", "training loss, mean over epochs",
        "test accuracy", hardness, held_out, tuple(kinds),
    )  # fmt: skip
    return Struggle(hardness, held_out, gap, figure)
