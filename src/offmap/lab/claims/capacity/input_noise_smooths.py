"""Noise on the inputs moves class boundaries away from the data."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, SCALES, against_plain, with_doses


@claim(
    says="Gaussian noise of 0.1 on the pixels makes a network smoother: the nearest class "
    "boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=with_doses(SCALES, (0.1, 0.3)),
    seconds={"smoke": 0.4, "desk": 2.5, "full": 80.0},
    paper=Paper("Bishop 1995", "https://doi.org/10.1162/neco.1995.7.1.108"),
)
def input_noise_smooths(
    *, doses: tuple[float, ...], n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly, one with Gaussian noise of standard
    deviation 0.1 on every pixel (from 0 to 1), and one with 0.3 to compare. To second order the
    noise adds the squared slope to the loss, weighted by its curvature. The distance to the
    boundary is the margin of the scores over the slope of the margin.
    """
    return against_plain(
        {f"noise {dose}": Arm(input_noise=dose) for dose in doses},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
