"""Which regularizers make networks smoother, and which do not."""

from dataclasses import replace

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.smoothing import (
    ALL,
    REGULARIZERS,
    SMOOTHING,
    against_plain,
    farther,
)


@claim(
    says="Weight decay, dropout and noise on the inputs move the nearest class boundary away from "
    "held-out digits, each of them farther than any of noise on weights, noise on activations and "
    "moved pictures.",
    effect="log of the distance to the boundary, over that of plain training: the least of the "
    "first three minus the largest of the other three",
    above=0.0,
    scales=ALL,
    seconds={"smoke": 0.9, "desk": 3.5, "full": 140.0},
    paper=Paper("Wager et al. 2013", "https://arxiv.org/abs/1307.1493"),
)
def three_regularizers_smooth(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Plain training against six regularizers, from the same weights, with the same examples.

    Each is as in the claim of its own, at a usual dose. The distance to the boundary is the margin
    of the scores over the slope of the margin, so that it does not matter how large the scores are.
    """
    trial = against_plain(
        REGULARIZERS, n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size,
        rate=rate, generator=generator,
    )  # fmt: skip
    gains = {name: farther(trial, name) for name in REGULARIZERS}
    others = [gain for name, gain in gains.items() if name not in SMOOTHING]
    return replace(trial, effect=min(gains[name] for name in SMOOTHING) - max(others))
