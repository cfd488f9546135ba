"""Noise of a fixed size on the activations is outgrown, not smoothed away."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, LONGER, against_plain, with_doses


@claim(
    says="Gaussian noise of 0.5 on the hidden activations makes a network smoother: the "
    "nearest class boundary lies at least a twentieth farther from held-out digits.",
    effect=EFFECT,
    above=LINE,
    scales=with_doses(LONGER, (0.5, 1.0)),
    seconds={"smoke": 0.6, "desk": 3.0, "full": 95.0},
    paper=Paper("An 1996", "https://doi.org/10.1162/neco.1996.8.3.643"),
    corrected="three_regularizers_smooth",
)
def activation_noise_smooths(
    *, doses: tuple[float, ...], n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, with the same
    examples in every update: one trained plainly, one with Gaussian noise of standard
    deviation 0.5 added to every hidden activation; and one with 1 to compare. A network of ReLUs
    can scale its activations up and the next weights down, which leaves its function as it is and
    makes the noise small: nothing needs to become smoother. The distance to the boundary is the
    margin of the scores over the slope of the margin.
    """
    return against_plain(
        {f"noise {dose}": Arm(activation_noise=dose) for dose in doses},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
