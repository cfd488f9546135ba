"""Far more parameters than examples, and no worse for it."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.widening import NARROWEST_FIT, SCALES, widen


@claim(
    says="Without label noise a wider network is no worse: the widest, with hundreds of parameters "
    "for each example, has a test error at most a point above that of width 128.",
    effect="test error of the widest network minus that of width 128",
    below=0.01,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 4.9, "full": 200.0},
    paper=Paper("Neyshabur et al. 2015", "https://arxiv.org/abs/1412.6614"),
)
def wider_is_safe(
    *, n: int, repeats: int, widths: tuple[int, ...], epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Networks of one hidden layer on digits, for the same number of steps, not regularized.

    All widths see the same digits. Width 128 fits them all; the widest has many times as many
    parameters. No stopping early, no penalty, no validation set.
    """
    found = widen(
        n=n, repeats=repeats, widths=widths, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    return Trial(
        effect=(found.error[-1] - found.error[widths.index(NARROWEST_FIT)]).item(),
        parts={
            "parameters of the widest, for each example": (75 * widths[-1] + 10) / n,
            **found.parts(widths),
        },
        figures=(found.figure,),
    )
