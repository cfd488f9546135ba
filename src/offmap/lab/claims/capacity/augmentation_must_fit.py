"""Augmentation by what the data do not vary in costs accuracy."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.regularized import PLAIN, SCALES, accuracies

HALF, WHOLE = "moved by half a pixel", "moved by a pixel"


@claim(
    says="Augmentation must stay within what the data vary in: on centered digits of 8 x 8 pixels, "
    "moving pictures by a whole pixel costs at least two points of test accuracy against moving "
    "them by half of one.",
    effect="test accuracy with pictures moved by half a pixel minus that with a whole pixel",
    above=0.02,
    scales=SCALES,
    seconds={"smoke": 0.2, "desk": 1.3, "full": 70.0},
    paper=Paper("Geiping et al. 2023", "https://arxiv.org/abs/2210.06441"),
)
def augmentation_must_fit(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Training on digits as they are, moved by half a pixel, and by a whole one.

    The direction is one of eight or none, drawn for each picture and step; half a pixel is the
    mean of the picture and the moved one. Weights at the start and order are the same for all.
    """
    found = accuracies(
        {PLAIN: Arm(), HALF: Arm(shift=0.5), WHOLE: Arm(shift=1.0)},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    return Trial(
        effect=found.held_out[HALF] - found.held_out[WHOLE],
        parts={
            **{f"{name}: test accuracy": value for name, value in found.held_out.items()},
            **{f"{name}: training accuracy": value for name, value in found.known.items()},
        },
        figures=(found.figure,),
    )
