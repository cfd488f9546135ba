"""With wrong labels among the right ones, is the widest network still as good as any?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.widening import SCALES, widen


@claim(
    says="Where a fifth of the labels are drawn at random, the widest network, which fits them "
    "all, has a test error at most a point above that of the best narrower one.",
    effect="test error of the widest network minus the least among narrower ones",
    below=0.01,
    scales=SCALES,
    seconds={"smoke": 0.5, "desk": 4.9, "full": 200.0},
    paper=Paper("Nakkiran et al. 2020", "https://arxiv.org/abs/1912.02292"),
    corrected="wider_is_safe",
)
def wider_is_safe_with_wrong_labels(
    *, n: int, repeats: int, widths: tuple[int, ...], epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Networks of one hidden layer on digits, a fifth of whose labels are drawn at random.

    All widths see the same digits and labels for the same number of steps. The best of the narrower
    widths is chosen on the test set.
    """
    found = widen(
        n=n, repeats=repeats, widths=widths, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator, wrong=0.2,
    )  # fmt: skip
    return Trial(
        effect=(found.error[-1] - found.error[:-1].min()).item(),
        parts={
            "best narrower width": widths[int(found.error[:-1].argmin())],
            **found.parts(widths),
        },
        figures=(found.figure,),
    )
