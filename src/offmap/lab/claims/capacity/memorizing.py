"""What claims on random labels share: the same network on true labels and on random ones."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Scale
from offmap.lab.claims.capacity.arms import Arm, draw
from offmap.lab.claims.capacity.training import accuracy, adam, train

SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 100, "repeats": 4, "width": 128, "epochs": 120, "batch_size": 50, "rate": 3e-3},
    "desk": {"n": 400, "repeats": 3, "width": 256, "epochs": 400, "batch_size": 64, "rate": 1e-3},
    "full": {"n": 1200, "repeats": 8, "width": 512, "epochs": 600, "batch_size": 64, "rate": 1e-3},
}
FIGURE_POINTS = 60


class Memorized(NamedTuple):
    """Networks trained until all of them have fitted their labels, or the epochs have passed.

    Args:
        fitted: Accuracy on the labels trained on, [true and random, repeats].
        epochs: Epochs until they were all fitted; none where they never were.
        held_out: Accuracy on the true labels of held-out digits.
        parameters: Of a network, for each label.
        figure: How fast labels are learned.
    """

    fitted: Float[Tensor, "2 r"]
    epochs: Float[Tensor, "2 r"]
    held_out: Float[Tensor, "2 r"]
    parameters: float
    figure: Curve


def memorize(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Memorized:  # fmt: skip
    """Two hidden layers on digits with their labels, and with labels drawn at random, once."""
    problem = draw(n, repeats, generator=generator)
    networks = train(
        problem, [Arm(), Arm(random_targets=1.0)], hidden=(width, width), epochs=epochs,
        batch_size=batch_size, rule=adam(rate), generator=generator, watch=True, until=1.0,
    )  # fmt: skip
    done = networks.hits == 1
    first = done.int().argmax(dim=0) + 1.0
    step = -(-len(networks.hits) // FIGURE_POINTS)
    true, random = networks.hits[::step].mean(dim=2).unbind(dim=1)
    return Memorized(
        networks.hits.amax(dim=0),
        first.where(done.any(dim=0), torch.inf),
        accuracy(networks, problem),
        sum(w[0].numel() + b[0].numel() for w, b in networks.layers) / n,
        Curve(
            "How fast labels are learned", "epoch", "training accuracy",
            torch.arange(1.0, len(networks.hits) + 1, step),
            {"true labels": true, "random labels": random},
        ),
    )  # fmt: skip
