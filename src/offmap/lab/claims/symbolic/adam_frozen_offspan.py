"""Does Adam leave the weights off the span of the data as they were?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.subspace import departure, train, world


@claim(
    says="Adam, too, leaves the part of the first layer that is orthogonal to all training inputs "
    "as it was.",
    effect="Change of that part, relative to its norm at the start; the largest over networks.",
    below=1e-9,
    scales={
        "smoke": {"inputs": 50, "dimension": 5, "steps": 60, "networks": 2},
        "desk": {"inputs": 100, "dimension": 10, "steps": 500, "networks": 5},
        "full": {"inputs": 100, "dimension": 10, "steps": 10_000, "networks": 5},
    },
    seconds={"smoke": 0.2, "desk": 3, "full": 50},
    paper=Paper(
        "Kingma and Ba 2015, Adam: a method for stochastic optimization",
        "https://arxiv.org/abs/1412.6980",
    ),
    corrected="frozen_offspan_subspace",
)
def adam_frozen_offspan(
    *, inputs: int, dimension: int, steps: int, networks: int, generator: torch.Generator
) -> Trial:
    """As `frozen_offspan_subspace`, with Adam.

    Adam divides each number of the gradient by its own size. That leaves a zero a zero, so dead
    coordinates stay frozen (`frozen_offspan`), but it turns the gradient out of any other plane.
    The control is gradient descent on the same data.

    Args:
        inputs: Of the network.
        dimension: Of the plane in which the data lie.
        steps: Of training, with all examples in each.
        networks: Trained at once by each optimizer.
        generator: Source of data and weights.
    """
    split = world(inputs, dimension, generator=generator)
    changes = [
        departure(train(split, optimizer, steps, networks, generator))
        for optimizer in (
            lambda weights: torch.optim.Adam(weights, lr=1e-3),
            lambda weights: torch.optim.SGD(weights, lr=0.05),
        )
    ]
    return Trial(effect=changes[0], parts={"gradient descent": changes[1]})
