"""Does stopping early make a network smoother, or only its scores smaller?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, SCALES, against_plain

SHARE = 5  # training ends after one part in so many of the epochs


@claim(
    says="Stopping early makes a network smoother: the nearest class "
    "boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 1.9, "full": 60.0},
    paper=Paper("Hardt et al. 2016", "https://arxiv.org/abs/1509.01240"),
)
def early_stopping_smooths(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly to the end, one for a fifth of the epochs. The
    slope of the latter's scores is far smaller (see the parts), but so are the scores. Whether
    more than that is gained depends on how far training has come: stopped before the labels are
    fitted, boundaries lie closer. The distance to the boundary is the margin of the scores over
    the slope of the margin, so that it does not matter how large the scores are.
    """
    return against_plain(
        {"stopped early": Arm(stop=epochs // SHARE)},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
