"""Augmentation is said to be worth more than any penalty; on small digits it can cost."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.regularized import ARMS, MOVED, SCALES, accuracies


@claim(
    says="Of the common regularizers augmentation helps most: training on pictures moved by up to "
    "a pixel gives a better classifier of small digits than weight decay, dropout, or input noise.",
    effect="test accuracy with moved pictures minus that of the best other way to train",
    above=0.0,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 3.0, "full": 160.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
    corrected="augmentation_must_fit",
)
def augmentation_helps_most(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Plain training against five regularizers, from the same weights, with the same examples.

    Weight decay, dropout, noise on the inputs, these three together, and pictures moved by up to a
    pixel in one of eight directions, all for the same number of steps, on digits of 8 x 8 pixels.
    """
    found = accuracies(
        ARMS,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    held_out = found.held_out
    return Trial(
        effect=held_out[MOVED] - max(value for name, value in held_out.items() if name != MOVED),
        parts={f"{name}: test accuracy": value for name, value in held_out.items()},
        figures=(found.figure,),
    )
