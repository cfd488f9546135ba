"""Does every regularizer make a network smoother? Some bring the boundary closer."""

from dataclasses import replace

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.smoothing import ALL, REGULARIZERS, against_plain, farther


@claim(
    says="Every common regularizer makes a network smoother: with none of six is the nearest class "
    "boundary closer to held-out digits than after plain training.",
    effect="least, over six regularizers, of log of (median distance of held-out digits to the "
    "nearest class boundary over that of plain training)",
    above=0.0,
    scales={**ALL, "smoke": {**ALL["smoke"], "repeats": 2}},
    seconds={"smoke": 0.5, "desk": 3.5, "full": 140.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
    corrected="three_regularizers_smooth",
)
def regularization_smooths(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Plain training against six regularizers, from the same weights, with the same examples.

    Weight decay, dropout, noise on inputs, on weights and on activations, and pictures moved by up
    to a pixel, each as in the claim of its own. The distance to the boundary is the margin of the
    scores over the slope of the margin, so that it does not matter how large the scores are.
    """
    trial = against_plain(
        REGULARIZERS, n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size,
        rate=rate, generator=generator,
    )  # fmt: skip
    return replace(trial, effect=min(farther(trial, name) for name in REGULARIZERS))
