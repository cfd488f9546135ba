"""A network without any explicit regularization generalizes almost as well as with the best."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.regularized import ARMS, PLAIN, SCALES, accuracies


@claim(
    says="Without any explicit regularization a network that fits its training digits loses at "
    "most six points of test accuracy against the best of five ways to regularize it.",
    effect="test accuracy of the best regularizer minus that of none",
    below=0.06,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 3.4, "full": 180.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def regularization_not_necessary(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Plain training against five regularizers, from the same weights, with the same examples.

    Weight decay, dropout, noise on the inputs, these three together, and pictures moved by up to a
    pixel, all for the same number of steps. The best is chosen on the test set, which favors
    regularization. Control: the same network on random labels, which is at chance.
    """
    found = accuracies(
        {**ARMS, "random labels": Arm(random_targets=1.0)},
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    return Trial(
        effect=max(found.held_out[name] for name in ARMS) - found.held_out[PLAIN],
        parts={
            **{f"{name}: test accuracy": value for name, value in found.held_out.items()},
            "none: training accuracy": found.known[PLAIN],
        },
        figures=(found.figure,),
    )
