"""Moving pictures about teaches invariance to that, and brings boundaries closer."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, SCALES, against_plain


@claim(
    says="Training on pictures moved by up to one pixel makes a network smoother: the nearest "
    "class boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 1.8, "full": 55.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
    corrected="three_regularizers_smooth",
)
def shifts_smooth(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly, one on pictures moved by at most one
    pixel, in a direction drawn for each example and step. One pixel of eight is far: moved
    pictures of other classes come to lie between. The distance to the boundary is the margin of
    the scores over the slope of the margin, so that it does not matter how large the scores are.
    """
    return against_plain(
        {"moved": Arm(shift=1.0)},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
