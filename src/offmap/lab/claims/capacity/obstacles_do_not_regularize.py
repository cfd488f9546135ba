"""What only makes training harder leaves the network no better, or worse."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.hardness import OBSTACLES, SCALES, struggle


@claim(
    says="Making training harder is not enough to regularize: with small steps, a frozen first "
    "layer, small initial weights, or wrong signs in the gradient, training is harder and the test "
    "accuracy, on average, lower.",
    effect="test accuracy, mean over four obstacles, minus that of plain training",
    below=0.0,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 2.5, "full": 200.0},
    paper=Paper("Hardt et al. 2016", "https://arxiv.org/abs/1509.01240"),
)
def obstacles_do_not_regularize(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Plain training and four obstacles, for the same number of steps from the same weights.

    A tenth of the learning rate, a first layer that stays as it began, initial weights of 0.3
    times the size, and the wrong sign on four in ten numbers of every gradient.
    """
    found = struggle(
        OBSTACLES,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    return Trial(
        effect=(found.held_out[1:] - found.held_out[0]).mean().item(),
        parts={
            "least log of hardness, over plain": (found.hardness[1:] / found.hardness[0])
            .log()
            .min()
            .item(),
            **found.parts(OBSTACLES),
        },
        figures=(found.figure,),
    )
