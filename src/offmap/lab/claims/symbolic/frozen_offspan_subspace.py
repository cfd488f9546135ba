"""What of the first layer lies off the span of the data obeys a law that no data enter."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.subspace import departure, train, world

RATE, DECAY = 0.05, 1e-3


@claim(
    says="The part of the first layer that is orthogonal to all training inputs is left as it was "
    "by gradient descent, with momentum or without, and under weight decay w and rate r is "
    "multiplied by (1 - r w)^t in t steps.",
    effect="Departure from that law, relative to the part's norm at the start; the largest over "
    "optimizers and networks.",
    below=1e-9,
    scales={
        "smoke": {"inputs": 50, "dimension": 5, "steps": 60, "networks": 2},
        "desk": {"inputs": 100, "dimension": 10, "steps": 500, "networks": 5},
        "full": {"inputs": 100, "dimension": 10, "steps": 10_000, "networks": 5},
    },
    seconds={"smoke": 0.3, "desk": 4.5, "full": 100},
    paper=Paper(
        "Melamed, Yehudai and Vardi 2023, Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
)
def frozen_offspan_subspace(
    *, inputs: int, dimension: int, steps: int, networks: int, generator: torch.Generator
) -> Trial:
    r"""A ReLU network fits a wave on a plane of few dimensions that is turned at random; float64.

    The gradient of (W, b) is :math:`\sum_i \delta_i (x_i', 1)`: what is orthogonal to every
    (x, 1) never enters. That part is found by `offmap.numerics.span`, before and after training.
    How far the rest moved, relative to its norm, is among the parts.

    Args:
        inputs: Of the network.
        dimension: Of the plane.
        steps: Of training, with all examples in each.
        networks: Trained at once by each optimizer.
        generator: Source of data and weights.
    """
    split = world(inputs, dimension, generator=generator)
    kept = (1 - RATE * DECAY) ** steps
    given = {
        "gradient descent": ({}, 1.0),
        "momentum": ({"momentum": 0.5}, 1.0),
        "weight decay": ({"weight_decay": DECAY}, kept),
    }
    parts: dict[str, float] = {}
    moved = 0.0
    for name, (settings, factor) in given.items():
        found = train(
            split,
            lambda weights, settings=settings: torch.optim.SGD(weights, lr=RATE, **settings),
            steps, networks, generator,
        )  # fmt: skip
        parts[f"{name}: departure"] = departure(found, factor)
        old, new = (torch.cat([w.flatten() for w in nets[0].parameters()]) for nets in found[:2])
        moved = max(moved, ((new - old).norm() / old.norm()).item())
    return Trial(
        effect=max(parts.values()),
        parts=parts | {"law under weight decay": kept, "change of all weights, relative": moved},
    )
