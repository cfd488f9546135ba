"""The popular belief that the peak of double descent comes from wrong labels."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.double_descent_rf_digits import SCALES, height, sweep


@claim(
    says="Double descent needs label noise: with clean labels there is no peak at n features.",
    effect="Largest test error at 0.95 n to 1.1 n features, over the larger of those at n / 4 and "
    "at 16 n, all labels being right.",
    below=1.5,
    scales=SCALES,
    seconds={"smoke": 0.13, "desk": 0.6, "full": 5},
    paper=Paper("Nakkiran et al. 2020", "https://arxiv.org/abs/1912.02292"),
    corrected="double_descent_rf_digits",
)
def double_descent_needs_noise(
    *, n: int, shares: tuple[float, ...], generator: torch.Generator
) -> Trial:
    """The sweep of double_descent_rf_digits with the labels as they are.

    A fit of n features to n digits must still spend large weights on what the features do not
    explain, which acts as noise does.
    """
    found = sweep(n, shares, 0.0, generator)
    widths = torch.tensor(shares, dtype=torch.double) * n
    return Trial(
        effect=height(found.error, shares),
        parts={
            "error at the peak": found.error.max().item(),
            "error of 16 n features": found.error[-1].item(),
            "features at the peak / n": shares[int(found.error.argmax())],
        },
        figures=(
            Curve(
                "Test error on digits with clean labels", "random features", "test error",
                widths, {"": found.error}, log_x=True,
            ),
        ),
    )  # fmt: skip
