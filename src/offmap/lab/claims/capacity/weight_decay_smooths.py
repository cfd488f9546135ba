"""Weight decay moves class boundaries away from the data."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, SCALES, against_plain


@claim(
    says="Weight decay makes a network smoother: the nearest class "
    "boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 1.9, "full": 60.0},
    paper=Paper(
        "Krogh and Hertz 1991",
        "https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html",
    ),
)
def weight_decay_smooths(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly, one with a penalty of 0.0005 on the square
    of every weight. The distance to the boundary is the margin of the scores over the slope of the
    margin, so that it does not matter how large the scores are.
    """
    return against_plain(
        {"weight decay": Arm(decay=1e-3)},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
