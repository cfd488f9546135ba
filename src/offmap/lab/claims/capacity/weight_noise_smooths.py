"""Noise on the weights, at the usual dose, moves no class boundary."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, LONGER, against_plain, with_doses


@claim(
    says="Multiplying weights by Gaussian noise of 0.3 makes a network smoother: the nearest class "
    "boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=with_doses(LONGER, (0.3, 1.0)),
    seconds={"smoke": 0.7, "desk": 4.8, "full": 150.0},
    paper=Paper("An 1996", "https://doi.org/10.1162/neco.1996.8.3.643"),
    corrected="three_regularizers_smooth",
)
def weight_noise_smooths(
    *, doses: tuple[float, ...], n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly, one with every weight multiplied by
    1 + 0.3 times a normal number, drawn for each example and step. On a linear model this noise
    is the penalty that dropout is, and noise of 1 is as strong as dropout of a half: that is
    trained too, and tells kind from dose. The distance to the boundary is the margin of the scores
    over the slope of the margin.
    """
    return against_plain(
        {f"noise {dose}": Arm(weight_noise=dose) for dose in doses},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
