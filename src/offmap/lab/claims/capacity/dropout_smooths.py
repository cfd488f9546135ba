"""Dropout moves class boundaries away from the data."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, SCALES, against_plain


@claim(
    says="Dropout of half of the hidden activations makes a network smoother: the nearest class "
    "boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 2.2, "full": 70.0},
    paper=Paper("Wager et al. 2013", "https://arxiv.org/abs/1307.1493"),
)
def dropout_smooths(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly, one with half of its hidden activations
    dropped, drawn for each example and step. The distance to the boundary is the margin of the
    scores over the slope of the margin, so that it does not matter how large the scores are.
    """
    return against_plain(
        {"dropout": Arm(dropout=0.5)},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
